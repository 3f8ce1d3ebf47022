"""Weights of samples and classes, as all losses take them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array, array_module


def row_weights(who: str, weights: Array, outputs: Array) -> Any:
    """sample_weights as an array (N,) of the dtype and backend of outputs (N, ...); ones for None.

    Raises: ValueError: another shape; on the host also weights that are negative or not finite.
    """
    return _checked(who, "sample_weights", weights, outputs, len(outputs))


def check_class_weights(who: str, weights: Array, outputs: Array) -> Any:
    """class_weights as an array (K,) of the dtype and backend of outputs (N, K); ones for None. Raises: as above."""
    return _checked(who, "class_weights", weights, outputs, outputs.shape[1])


def _checked(who, name, weights, outputs, count):
    xp = array_module(outputs)
    if weights is None:
        return xp.ones(count, outputs.dtype)
    weights = xp.asarray(weights, dtype=outputs.dtype)
    if weights.shape != (count,):
        raise ValueError(f"{who}: expected {name} ({count},), got {tuple(weights.shape)}")
    if xp is np and not (weights.min() >= 0 and weights.max() < np.inf):
        raise ValueError(f"{who}: expected finite {name} >= 0")
    return weights


def sum_of_row_weights(outputs: Array, targets: Array, *, sample_weights: Array = None) -> Any:
    """What `batch_weight` returns for losses whose only weights are those of the samples."""
    if sample_weights is None:
        return None
    return array_module(outputs).asarray(sample_weights, dtype=outputs.dtype).sum()


def batch_weight(loss: Callable, outputs: Array, targets: Array) -> Any:
    """Σ_n w_n, by which a loss divides: a scalar of the backend. None where it is the plain mean over rows.

    With it, the loss of a batch is the sum of those of its parts, each times its share of the weight. A loss has it as
    its attribute batch_weight, a function of the same arguments.
    """
    function, options = getattr(loss, "func", loss), getattr(loss, "keywords", {})  # of functools.partial
    weight = getattr(function, "batch_weight", None)
    return weight and weight(outputs, targets, **options)


def total_weight(weights: Array) -> Any:
    """Σ_n w_n; 1 where all weights are 0, so that such a batch has the loss 0 and teaches nothing."""
    xp, total = array_module(weights), weights.sum()
    return xp.where(total > 0, total, xp.ones_like(total))
