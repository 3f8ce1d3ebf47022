"""Weights of samples and classes, as all losses take them."""

import numpy as np

from ..backend import array_module


def row_weights(who, weights, outputs):
    """sample_weights as an array (N,) of the dtype and backend of outputs (N, ...); ones for None.

    Raises: ValueError: another shape; on the host also weights that are negative, not finite, or all 0.
    """
    return _checked(who, "sample_weights", weights, outputs, len(outputs))


def check_class_weights(who, weights, outputs):
    """class_weights as an array (K,) of the dtype and backend of outputs (N, K); ones for None. Raises: as above."""
    return _checked(who, "class_weights", weights, outputs, outputs.shape[1])


def _checked(who, name, weights, outputs, count):
    xp = array_module(outputs)
    if weights is None:
        return xp.ones(count, outputs.dtype)
    weights = xp.asarray(weights, dtype=outputs.dtype)
    if weights.shape != (count,):
        raise ValueError(f"{who}: expected {name} ({count},), got {tuple(weights.shape)}")
    if xp is np and not (weights.min() >= 0 and 0 < weights.max() < np.inf):
        raise ValueError(f"{who}: expected finite {name} >= 0, not all of them 0")
    return weights
