"""SynapseNetClassifier: the estimator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ... import fast
from ...optim import AdamW
from ...train import EvalRecord, fit, outputs
from ...training.callbacks import EarlyStopping
from .checks import check_data, check_parameters
from .network import synapse_net


class SynapseNetClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of tables with one hidden layer of synapses, trained by AdamW on the negative log likelihood.

        z = W₁ (x − mean) / std + b₁,   h = σ(z),   y_i = α_i h_i ∏_j (1 − β_ij h_j),   softmax(W₂ y + b₂)

    Features are normalised inside, by mean and standard deviation of the training data. float32 data are computed in
    float32, everything else in float64.

    Parameters
    ----------
    hidden_units : int, default=64
        Units of the synapse layer.
    synapse : {"free", "logistic", "surprisal"}, default="free"
        What is trained in the place of α and β, see synann_np.layers.Synapse; the latter two keep β in (0, 1).
    learning_rate : float, default=0.01
    weight_decay : float, default=0.001
        Of AdamW: every step shrinks the weights by learning_rate · weight_decay.
    batch_size : int or "auto", default="auto"
        "auto" is min(200, n_samples).
    max_iter : int, default=200
        Epochs of `fit`; without early stopping all of them.
    early_stopping : bool, default=False
        Hold out `validation_fraction` of the data, stop after `n_iter_no_change` epochs in which the loss on them was
        not lower than before, and keep the weights of the best epoch. `partial_fit` ignores it.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=10
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights by class, as in scikit-learn.
    warm_start : bool, default=False
        `fit` continues from the weights of the `fit` before; the classes must be the same.
    verbose : bool, default=False
        Print the loss of every epoch.
    random_state : int, RandomState instance or None, default=None
        Of the weights, the order of the samples and the held-out data.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
    model_ : synann_np.sequential.Sequential, which synann_np.save and the ONNX export take.
    n_iter_ : int, epochs of the last `fit`; of `partial_fit`, all of them.
    loss_curve_ : list of float, the loss of the first batch of every epoch.
    validation_losses_ : list of float, the loss on the held-out data after every epoch, with early stopping.
    n_features_in_, feature_names_in_ : as in scikit-learn.
    """

    def __init__(
        self, hidden_units: int = 64, *, synapse: str = "logistic", learning_rate: float = 0.01,
        weight_decay: float = 0.001, batch_size: int | str = "auto", max_iter: int = 200, early_stopping: bool = False,
        validation_fraction: float = 0.1, n_iter_no_change: int = 10,
        class_weight: dict[Any, float] | str | None = None, warm_start: bool = False, verbose: bool = False,
        random_state: Any = None,
    ) -> None:  # fmt: skip
        self.hidden_units = hidden_units
        self.synapse = synapse
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SynapseNetClassifier:
        """Train on X (n_samples, n_features) and labels y (n_samples,). A sample of weight 0 does not exist.

        Returns: self.

        Raises: ValueError, TypeError for data or parameters that cannot be meant; synann_np.train.NonFiniteLoss.
        """
        check_parameters(self)
        goes_on = self.warm_start and hasattr(self, "model_")
        X, y, weights = check_data(self, X, y, sample_weight, reset=not goes_on)
        classes = np.unique(y)
        if goes_on and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start needs the classes of the fit before, {self.classes_}, got {classes}: use partial_fit for "
                "a part of them, or warm_start=False"
            )
        self.classes_: np.ndarray = classes
        if not goes_on:
            self._start(X, weights)
        self._forget_losses()
        self._train(X, y, weights, self.max_iter, self.early_stopping)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SynapseNetClassifier:
        """One epoch over X, y. The first call needs `classes`, all that will ever occur, and normalises by its data.

        Returns: self. Raises: as fit.
        """
        check_parameters(self)
        first = not hasattr(self, "model_")
        if first and classes is None:
            raise ValueError("partial_fit: pass classes, all labels that will occur, to the first call")
        if self.class_weight == "balanced":
            raise ValueError("partial_fit: class_weight='balanced' needs all the data: pass a dict or sample_weight")
        X, y, weights = check_data(self, X, y, sample_weight, reset=first)
        if not first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"partial_fit: the classes of the first call were {self.classes_}, got {classes}")
        known = np.unique(classes) if first else self.classes_
        if unknown := sorted(set(y.tolist()) - set(known.tolist())):
            raise ValueError(f"partial_fit: labels {unknown} are not among the classes {known}")
        if first:
            self.classes_ = known
            self._start(X, weights)
            self._forget_losses()
        self._train(X, y, weights, 1, False)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n_samples, n_classes), in the order of classes_."""
        with np.errstate(under="ignore"):
            return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithms of predict_proba, without underflow."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return outputs(fast.compile(self.model_), X.astype(self.model_.dtype, copy=False))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of every sample, (n_samples,)."""
        log_proba = self.predict_log_proba(X)  # before classes_, which an estimator without a fit does not have
        return self.classes_[log_proba.argmax(axis=1)]

    def _start(self, X, weights):
        """Fresh weights and a fresh optimiser."""
        self._random = check_random_state(self.random_state)
        rng = np.random.default_rng(self._random.randint(2**31))
        self.model_ = synapse_net(X, weights, self.hidden_units, len(self.classes_), self.synapse, rng)
        names = [str(c) for c in self.classes_]
        self.model_.class_names = names if len(set(names)) == len(names) and all(map(str.isprintable, names)) else None
        self._optimizer = AdamW(self.learning_rate, weight_decay=self.weight_decay)

    def _forget_losses(self):
        self.n_iter_ = 0
        self.loss_curve_: list[float] = []
        self.validation_losses_: list[float] = []

    def _train(self, X, y, weights, epochs, early_stopping):
        labels = np.searchsorted(self.classes_, y)
        data = [X.astype(self.model_.dtype, copy=False), labels] + ([] if weights is None else [weights])
        held_out, stopping = None, []
        if early_stopping:
            halves = train_test_split(
                *data, test_size=self.validation_fraction, stratify=labels, random_state=self._random
            )
            data, held_out = halves[::2], halves[1::2]
            stopping = [EarlyStopping(self.n_iter_no_change, self.model_, monitor="loss")]
        batch_size = min(200, len(labels)) if self.batch_size == "auto" else self.batch_size
        self._optimizer.lr, self._optimizer.weight_decay = self.learning_rate, self.weight_decay
        run = fit(
            fast.compile(self.model_, input_gradient=False), self._optimizer, data, held_out, epochs,
            batch_size=batch_size, seed=self._random.randint(2**31), callbacks=stopping,
            log_interval=math.ceil(len(labels) / batch_size),
        )  # fmt: skip
        for record in run:
            if isinstance(record, EvalRecord):
                self.validation_losses_.append(record.loss)
                if self.verbose:
                    print(f"Epoch {record.epoch}: loss on the held-out data {record.loss:.6f}")
                continue
            self.n_iter_ += 1
            self.loss_curve_.append(record.loss)
            if self.verbose:
                print(f"Epoch {record.epoch}: loss {record.loss:.6f}")
        if early_stopping:
            stopping[0].restore()
