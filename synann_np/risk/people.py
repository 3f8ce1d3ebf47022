"""The data of a fit: people, outcomes, weights; checked as scikit-learn does, and with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, validate_data


@dataclass(frozen=True)
class People:
    """N people of positive weight.

    Attributes: X (N, D) float64, NaN where unknown; y (N,) bool, had the event; weight, exposure (N,); exposed: an
    exposure was given; ratio: f₁/f₀; columns: the D names; classes (2,).
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    exposure: np.ndarray
    ratio: float
    columns: tuple[str, ...]
    classes: np.ndarray

    @property
    def sampling_constant(self) -> float:
        """Σ w y log r, the part of the log-likelihood of the sample that does not depend on the parameters."""
        return float(np.log(self.ratio) * self.weight[self.y].sum())


def read_people(estimator: Any, X: Any, y: Any, sample_weight: Any, exposure: Any, sampling: Any) -> People:
    """People from the arguments of fit; sets n_features_in_ and feature_names_in_ of the estimator.

    Raises: ValueError.
    """
    X, y = validate_data(estimator, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    if kind != "binary":
        raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
    check_not_negative(X, column_names(estimator))
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError(f"CausalGate: expected sample weights >= 0, got {weight.min():g}")
    exposure = check_exposure(exposure, len(X))
    kept = weight > 0
    classes, had = np.unique(y[kept], return_inverse=True)
    if len(classes) != 2:
        raise ValueError(f"CausalGate: expected two classes, with and without the event, got one class: {classes}")
    ratio = 1.0
    if sampling is not None:
        cases, controls = sampling
        if not (0 < cases <= 1 and 0 < controls <= 1):
            raise ValueError(f"CausalGate: expected sampling=(f1, f0), two fractions in (0, 1], got {sampling}")
        ratio = cases / controls
    if not kept.all():
        X, weight, exposure = X[kept], weight[kept], exposure[kept]
    return People(X, had == 1, weight, exposure, ratio, column_names(estimator), classes)


def check_not_negative(X: np.ndarray, columns: Sequence[str]) -> None:
    """Raises: ValueError naming the column; NaN passes."""
    if len(X) and np.fmin.reduce(X, axis=None) < 0:
        name = columns[int(np.argmax((X < 0).any(axis=0)))]
        raise ValueError(f"Negative values in data passed to CausalGate: {name!r}; 0 must mean that a factor is absent")


def check_exposure(exposure: Any, length: int) -> np.ndarray:
    """(N,) float64; 1 where None was given. Raises: ValueError unless positive, finite and of the right length."""
    if exposure is None:
        return np.ones(length)
    exposure = np.asarray(exposure, dtype=np.float64)
    if exposure.shape != (length,) or not (np.isfinite(exposure) & (exposure > 0)).all():
        raise ValueError(f"CausalGate: expected {length} exposures, positive and finite, got {exposure!r}")
    return exposure


def column_names(estimator: Any) -> tuple[str, ...]:
    """The names of a fitted estimator's columns, or x0, x1, ..."""
    names = getattr(estimator, "feature_names_in_", None)
    return tuple(f"x{j}" for j in range(estimator.n_features_in_)) if names is None else tuple(map(str, names))


def column_means(X: np.ndarray, weight: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """(D,), the mean of the known values of each column. Raises: ValueError for a column without any."""
    means = weight @ X / weight.sum()
    for j in np.flatnonzero(np.isnan(means)).tolist():
        known = ~np.isnan(X[:, j])
        if not known.any():
            raise ValueError(f"CausalGate: {columns[j]!r} is missing for everybody: leave it out")
        means[j] = weight[known] @ X[known, j] / weight[known].sum()
    return means


def binary_columns(X: np.ndarray) -> np.ndarray:
    """(D,) bool, columns of nothing but 0, 1 and NaN."""
    return ((X == 0) | (X == 1) | np.isnan(X)).all(axis=0)
