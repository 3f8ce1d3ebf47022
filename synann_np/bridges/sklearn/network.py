"""The network of the estimator: Normalize → Linear → sigmoid → synapse → Linear → log-softmax."""

from typing import Any

import numpy as np

from ...backend import Rng
from ...layers import Linear, LogSoftmax, Normalize, Sigmoid, Synapse
from ...sequential import Sequential


def synapse_net(
    x: np.ndarray, weights: np.ndarray, hidden_units: int, classes: int, synapse: str, rng: Rng
) -> Sequential:
    """A Sequential with fresh weights, x (N, C) -> log probabilities (N, K), of the dtype of x.

    There is not batch-norm: every row is computed by itself, also in training, so that a sample of weight 2 counts
    exactly as the same sample twice.

    Arguments: x: the training data, whose mean and standard deviation normalise every feature. weights (N,): of the
        samples, > 0, or None. hidden_units, classes: H, K. synapse: parametrisation, see layers.Synapse.
        rng: numpy.random.Generator.
    """
    options: dict[str, Any] = {"rng": rng, "dtype": x.dtype}
    layers = [
        ("normalize", _normalize(x, weights)),  # (N, C)
        ("fc1", Linear(x.shape[1], hidden_units, **options)),  # (N, H)
        ("sigmoid", Sigmoid()),
        ("fcn", Synapse(hidden_units, synapse, **options)),  # (N, H)
        ("fc2", Linear(hidden_units, classes, **options)),  # (N, K)
        ("log_softmax", LogSoftmax()),
    ]
    return Sequential(layers, x.dtype)


def _normalize(x, weights):
    """The layer with the weighted mean and standard deviation of every feature; a constant one is only shifted."""
    dtype, x = x.dtype, x.astype("float64", copy=False)
    mean = np.average(x, axis=0, weights=weights)
    std = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
    layer = Normalize(x.shape[1], dtype=dtype)
    layer.buffers["mean"][...] = mean
    layer.buffers["std"][...] = np.where(std <= 1e-12 * np.abs(mean), 1.0, std)
    return layer
