"""The numbers that all peers work on."""

import math
from dataclasses import dataclass, field

import numpy as np

BATCH = 100
SYNAPSE_BATCH = 128


@dataclass(frozen=True)
class LayerInput:
    layer: str
    arguments: tuple
    x_shape: tuple
    y_shape: tuple
    torch_arguments: dict = field(default_factory=dict)


LAYER_INPUTS = {
    "conv1 + pool + relu": LayerInput("Conv2d", (1, 10, 5), (1, 28, 28), (10, 12, 12)),
    "conv2 + pool + relu": LayerInput("Conv2d", (10, 20, 5), (10, 12, 12), (20, 4, 4)),
    "linear 320 → 64": LayerInput("Linear", (320, 64), (320,), (64,)),
    "softmax": LayerInput("Softmax", (), (64,), (64,), {"dim": 1}),
    "synapse": LayerInput("Synapse", (64,), (64,), (64,)),
    "batch-norm": LayerInput("BatchNorm1d", (64,), (64,), (64,)),
    "log-softmax": LayerInput("LogSoftmax", (), (10,), (10,), {"dim": 1}),
}


def layer_arrays(name, batch_innermost=False):
    """x and a random dy for a layer; batch_innermost: in the memory order that our layers hand on."""
    rng, spec = np.random.default_rng(1), LAYER_INPUTS[name]
    x, dy = (rng.standard_normal((BATCH, *shape)).astype("float32") for shape in (spec.x_shape, spec.y_shape))
    if name == "synapse":
        x = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    if batch_innermost and x.ndim == 4:
        x, dy = (np.ascontiguousarray(a.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2) for a in (x, dy))
    return x, dy


def synapse_arrays(n, kind):
    """x (128, n), beta (n, n), dy. softmax, uniform: the listing's β, ±1/√n; worst: β up to 0.999, x up to 1."""
    rng, N = np.random.default_rng(2), SYNAPSE_BATCH
    x, beta = rng.random((N, n), "float32"), rng.random((n, n), "float32")
    if kind == "worst":
        beta *= 0.999
    else:
        beta = (2 * beta - 1) * np.float32(1 / math.sqrt(n))
    if kind == "softmax":
        e = np.exp(rng.standard_normal((N, n), "float32"))
        x = e / e.sum(axis=1, keepdims=True)
    return x, beta, rng.standard_normal((N, n), "float32")
