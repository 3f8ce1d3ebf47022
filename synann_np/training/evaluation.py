"""What a trained model says: outputs, predictions, probabilities, and its loss on a labelled set."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..backend import Array
from ..data.batches import batches
from ..data.host_arrays import as_numbers
from ..losses import nll_loss
from .data_set import check_data_set, first_outputs, scaling, to_backend


def outputs(model: Any, x: Any, batch_size: int = 1000) -> np.ndarray:
    """What the model computes in evaluation mode, of any number of rows.

    Arguments:
        model: Sequential.
        x: (N, ...), numbers as the model was trained on, see train.fit; a host array or list, or an array of the
            model's backend.
        batch_size: rows at a time.

    Returns: (N, ...), host array of the model's dtype. Raises: TypeError, ValueError: x is not such an array.
    """
    return model.backend.to_host(_outputs(model, _inputs(model, x, "outputs", batch_size), batch_size))


def predict(model: Any, x: Any, batch_size: int = 1000) -> np.ndarray:
    """The class with the largest output for every row of x: (N,) int64. Arguments: as outputs.

    Raises: TypeError, ValueError: x is not such an array, or the model has no classes (outputs (N, K) with K ≥ 2):
        `outputs` gives the numbers of a regression.
    """
    return _class_outputs(model, x, batch_size, "predict").argmax(axis=1)


def predict_proba(model: Any, x: Any, batch_size: int = 1000) -> np.ndarray:
    """The probability of every class for every row of x: (N, K), host array of the model's dtype.

    Outputs that are probabilities are returned as they are; of log probabilities and of logits it is the softmax, which
    for the former is just e^outputs. Arguments, raises: as predict; ValueError also for outputs that are not finite.
    """
    y = _class_outputs(model, x, batch_size, "predict_proba")
    if np.isnan(y).any():
        raise ValueError("predict_proba: the model gives NaN: its weights are not finite")
    if y.min() >= 0 and np.allclose(y.sum(axis=1), 1, atol=1e-3):
        return y
    with np.errstate(under="ignore"):
        e = np.exp(y - y.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)


def evaluate(
    model: Any, x: Any, targets: Any, batch_size: int = 1000, *, loss: Callable = nll_loss, sample_weights: Any = None
) -> tuple[float, int | None]:
    """Mean loss of a model in evaluation mode, and the number of right answers.

    Arguments:
        x (N, ...), targets (N, ...): as fit takes them. batch_size: rows at a time.
        loss: function of outputs and targets, see losses; sample_weights (N,) are handed on to it.

    Returns: loss (float); correct (int), the rows whose largest output is at the label, or None where the targets are
        no labels. A device is waited for once, at the end.

    Raises: TypeError, ValueError: see check_data_set.
    """
    data_set = check_data_set(model, (x, targets, sample_weights), loss, "evaluate", batch_size)
    return evaluate_set(model, data_set, batch_size, loss)[:2]


def evaluate_set(
    model: Any, data_set: Any, batch_size: int, loss: Callable = nll_loss, metrics: dict[str, Callable] | None = None
) -> Any:
    """As evaluate, of a checked DataSet. Returns: loss, correct, counted rows, dict name -> value of every metric."""
    if loss is nll_loss and data_set.weights is None and not metrics:
        own = getattr(model, "evaluate", None)
        found = own or partial(evaluate_by_batches, model)
        return (*found(data_set.x, data_set.targets, batch_size), len(data_set), {})
    y = _outputs(model, data_set.x, batch_size)  # all at once: a weighted mean is not a mean of the batches' means
    extra = {} if data_set.weights is None else {"sample_weights": data_set.weights}
    value = float(model.backend.to_host(loss(y, data_set.targets, **extra)[0]))
    y, targets = model.backend.to_host(y), model.backend.to_host(data_set.targets)
    found = {name: float(metric(y, targets)) for name, metric in (metrics or {}).items()}
    if y.ndim != 2 or targets.ndim != 1 or targets.dtype.kind not in "iu":
        return value, None, len(y), found
    counted = targets != getattr(loss, "keywords", {}).get("ignore_index", -1)
    return value, int(((y.argmax(axis=1) == targets) & counted).sum()), int(counted.sum()), found


def evaluate_by_batches(model: Any, x: Array, labels: Array, batch_size: int) -> Any:
    """Loss and right answers by nll_loss, batch by batch, of arrays on the model's backend that are checked already."""
    losses, correct = 0.0, 0
    for rows, targets in batches(x, labels, batch_size, dtype=model.input_dtype, scaling=scaling(model)):
        log_probs, _ = model.forward(rows)
        loss, _ = nll_loss(log_probs, targets)
        losses = losses + loss * len(targets)
        correct = correct + (log_probs.argmax(axis=1) == targets).sum()
    return float(model.backend.to_host(losses)) / len(x), int(model.backend.to_host(correct))


def _inputs(model, x, who, batch_size):
    x = as_numbers(x, f"{who}: x", model.backend)
    first_outputs(model, x, who, min(batch_size, 8))
    return to_backend(model, x)


def _outputs(model, x, batch_size):
    unused = range(len(x))  # labels, which a batch has
    found = [
        model.forward(rows)[0]
        for rows, _ in batches(x, unused, batch_size, dtype=model.input_dtype, scaling=scaling(model))
    ]
    return model.backend.xp.concatenate(found)


def _class_outputs(model, x, batch_size, who):
    y = outputs(model, x, batch_size)
    if y.ndim != 2 or y.shape[1] < 2:
        raise ValueError(f"{who}: expected a model of two or more classes, its outputs are {y.shape}: use outputs()")
    return y
