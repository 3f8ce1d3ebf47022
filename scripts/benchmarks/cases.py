"""What all peers on a CPU compute: the networks, the batches, and the synapse layer with its exact values."""

import math

import numpy as np

from synann_np.data import normalise
from synann_np.layers import Dropout, Dropout2d
from synann_np.models import MODELS
from synann_np.sequential import Sequential

BATCH = 100
EVALUATION_BATCH = 1000
LEARNING_RATE, MOMENTUM = 0.012, 0.5
SYNAPSE_BATCH = 128


def make_network(name, dropout=True):
    """A network of synann_np.models with its initial weights; dropout=False: with dropout probability 0."""
    model = MODELS[name]()
    if dropout:
        return model
    layers = {
        key: type(layer)(0.0, seed=0) if isinstance(layer, Dropout | Dropout2d) else layer
        for key, layer in model.layers.items()
    }
    return Sequential(list(layers.items()), model.dtype, model.backend)


def comparison_batch():
    """The batch on which results are compared: images (100, 28, 28) uint8, labels (100,) int64.

    The pixels are random. The first rows of MNIST's images are black: there the states of a recurrent network are equal
    for the whole batch, and batch-norm amplifies their rounding errors by 1/√eps.
    """
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (BATCH, 28, 28), dtype="uint8"), rng.integers(0, 10, BATCH)


def normalised(images):
    """x (N, 1, 28, 28) float32, C-contiguous."""
    return np.ascontiguousarray(normalise(images))


def epoch_order(count):
    """A fixed random order of the training images."""
    return np.random.default_rng(0).permutation(count)


def synapse_arrays(n):
    """x (128, n), rows of a softmax; beta (n, n), U(±1/√n) as Synapse starts with; dy (128, n). All float32."""
    rng, N = np.random.default_rng(2), SYNAPSE_BATCH
    e = np.exp(rng.standard_normal((N, n), "float32"))
    beta = rng.random((n, n), "float32")
    beta *= 2  # in place: another array of n² numbers would be the peak of memory
    beta -= 1
    beta *= np.float32(1 / math.sqrt(n))
    return e / e.sum(axis=1, keepdims=True), beta, rng.standard_normal((N, n), "float32")


def exact_synapse(n, rows, units):
    """The synapse layer by its formula in float64, α = 1, for some rows of the batch and some units.

    Returns: dict of y[rows], dx[rows] (len(rows), n), beta, the gradient dβ[units] (len(units), n), and alpha, the
    gradient dα[units] (len(units),).
    """
    x, beta, dy = (a.astype("float64") for a in synapse_arrays(n))
    y, dx = np.empty((len(rows), n)), np.empty((len(rows), n))
    for k, row in enumerate(rows):
        q = 1 - beta * x[row]  # (i, j)
        P = np.exp(np.log(q).sum(axis=1))
        y[k] = x[row] * P
        dx[k] = dy[row] * P - (dy[row] * y[k]) @ (beta / q)
    dalpha, dbeta = np.empty(len(units)), np.empty((len(units), n))
    for k, i in enumerate(units):
        q = 1 - beta[i] * x  # (N, j)
        y_i = x[:, i] * np.exp(np.log(q).sum(axis=1))
        dalpha[k] = dy[:, i] @ y_i
        dbeta[k] = -(dy[:, i] * y_i) @ (x / q)
    return {"y": y, "dx": dx, "alpha": dalpha, "beta": dbeta}
