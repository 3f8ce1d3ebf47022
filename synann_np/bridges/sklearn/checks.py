"""What an estimator is given, checked before anything is trained."""

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from ... import arguments
from ...layers.synapse_parameters import PARAMETRISATIONS


def check_parameters(estimator: Any) -> None:
    """Raises: TypeError, ValueError naming the parameter of the constructor that cannot be meant."""
    name = type(estimator).__name__
    for key in ("hidden_units", "max_iter", "n_iter_no_change"):
        arguments.integer(name, key, getattr(estimator, key))
    if estimator.batch_size != "auto":
        arguments.integer(name, "batch_size", estimator.batch_size)
    for key in ("learning_rate", "weight_decay"):
        arguments.number(name, key, getattr(estimator, key))
    if not 0 < arguments.number(name, "validation_fraction", estimator.validation_fraction) < 1:
        raise ValueError(f"{name}: expected validation_fraction between 0 and 1, got {estimator.validation_fraction}")
    for key in ("early_stopping", "warm_start"):
        arguments.flag(name, key, getattr(estimator, key))
    arguments.word(name, "synapse", estimator.synapse, PARAMETRISATIONS)


def check_data(estimator: Any, X: Any, y: Any, sample_weight: Any, reset: bool) -> Any:
    """X of floats, y, and the product of the weights of samples and classes, or None; without samples of weight 0.

    Arguments: reset: whether the number and the names of the features are noted, or checked.

    Raises: TypeError, ValueError.
    """
    X, y = validate_data(estimator, X, y, dtype=(np.float64, np.float32), reset=reset)
    check_classification_targets(y)
    if sample_weight is None and estimator.class_weight is None:
        return X, y, None
    weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
    if estimator.class_weight is not None:
        weights = weights * compute_sample_weight(estimator.class_weight, y)
    counts = weights > 0
    if not counts.any():
        raise ValueError(f"{type(estimator).__name__}: all samples have weight 0")
    return X[counts], y[counts], weights[counts]
