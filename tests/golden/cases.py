"""Cases with fixed inputs, run by the package. `record.py` runs the same by PyTorch and stores what comes out."""

import math
from functools import cache

import numpy as np

from synann_np.data import load_mnist, normalise
from synann_np.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Softmax,
    Synapse,
)
from synann_np.losses import nll_loss
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.sequential import Sequential

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}  # of the largest element of a tensor

# name: how to make the layer, shape of x, train
LAYERS = {
    "linear": (lambda **o: Linear(7, 5, **o), (4, 7), False),
    "linear without bias": (lambda **o: Linear(3, 6, bias=False, **o), (1, 3), False),
    "conv2d": (lambda **o: Conv2d(3, 4, 5, **o), (2, 3, 8, 9), False),
    "conv2d with stride and padding": (lambda **o: Conv2d(2, 3, 3, 2, 1, **o), (3, 2, 7, 6), False),
    "conv2d of pairs without bias": (lambda **o: Conv2d(2, 3, (2, 3), (1, 2), (0, 2), False, **o), (3, 2, 5, 6), False),
    "synapse": (lambda **o: Synapse(9, **o), (5, 9), False),
    "batch-norm 1d in training": (lambda **o: BatchNorm1d(6, **o), (8, 6), True),
    "batch-norm 1d in evaluation": (lambda **o: BatchNorm1d(6, **o), (8, 6), False),
    "batch-norm 1d of sequences": (lambda **o: BatchNorm1d(4, 1e-3, 0.3, **o), (5, 4, 3), True),
    "batch-norm 2d in training": (lambda **o: BatchNorm2d(3, **o), (4, 3, 5, 2), True),
    "batch-norm 2d in evaluation": (lambda **o: BatchNorm2d(3, **o), (4, 3, 5, 2), False),
    "max-pool": (lambda **o: MaxPool2d(2), (3, 2, 6, 7), False),
    "max-pool with overlap": (lambda **o: MaxPool2d(3, 2), (2, 3, 9, 8), False),
    "max-pool of pairs": (lambda **o: MaxPool2d((3, 2), (1, 2)), (2, 3, 6, 5), False),
    "relu": (lambda **o: ReLU(), (4, 6), False),
    "softmax": (lambda **o: Softmax(), (4, 6), False),
    "log-softmax": (lambda **o: LogSoftmax(), (4, 6), False),
    "flatten": (lambda **o: Flatten(), (3, 4, 2, 2), False),
    "synapse with zero and negative factors": (lambda **o: Synapse(5, **o), (4, 5), False),
}

STEPS, BATCH_SIZE = 20, 100
RULE = {"lr": 0.012, "momentum": 0.5}


def layer_inputs(name):
    """dict of float64 arrays: x, dy, and all parameters and buffers. The same on every call."""
    make, shape, train = LAYERS[name]
    rng = np.random.default_rng(list(LAYERS).index(name))
    layer = make(dtype="float64", rng=rng)
    x = draw_input(layer, shape, rng)
    inputs = {"x": x, "dy": rng.uniform(-1, 1, layer.forward(x, train)[0].shape)}
    inputs |= draw_state(layer, rng)
    if "zero and negative" in name:
        inputs["beta"] *= 6
        inputs["x"][0, 1] = inputs["x"][0, 3] = inputs["x"][1, 2] = 0.5
        inputs["beta"][2, [1, 3]] = inputs["beta"][4, 2] = 2.0  # 1 − βx = 0: twice in one product, and once
        inputs["x"][2] = 0.0  # a softmax that underflowed
    return inputs


def draw_input(layer, shape, rng):
    """Probabilities for the synapse; few distinct numbers, so many ties, for max-pooling and relu; else U(−2, 2)."""
    if isinstance(layer, Synapse):
        return rng.uniform(0, 1, shape)
    if isinstance(layer, MaxPool2d | ReLU):
        return rng.integers(-1, 2, shape).astype("float64")
    return rng.uniform(-2, 2, shape)


def draw_state(layer, rng):
    """Random numbers in the place of every parameter and buffer, none of them at its special initial value."""
    positive = ("alpha", "running_var") if "beta" in layer.params else ("weight", "running_var")
    state = {}
    for name, a in (layer.params | layer.buffers).items():
        if name in positive and a.ndim == 1:
            state[name] = rng.uniform(0.5, 1.5, a.shape)
        else:
            bound = 1 / math.sqrt(math.prod(a.shape[1:]))
            state[name] = rng.uniform(-bound, bound, a.shape)
    return state


def run_layer(name, inputs, dtype):
    """y, dx, the gradient of every parameter as d<name>, and the buffers, as the package computes them."""
    make, _, train = LAYERS[name]
    return run(make(dtype=dtype), inputs, dtype, train)


def run(layer, inputs, dtype, train):
    for name, a in (layer.params | layer.buffers).items():
        a[...] = inputs[name]
    y, cache = layer.forward(inputs["x"].astype(dtype), train)
    dx, grads = layer.backward(inputs["dy"].astype(dtype), cache)
    return {"y": y, "dx": dx} | {f"d{k}": g for k, g in grads.items()} | layer.buffers


@cache
def training_data():
    """Pixels of MNIST in STEPS batches: images (STEPS, BATCH_SIZE, 28, 28) uint8, labels (STEPS, BATCH_SIZE)."""
    images, labels, _, _ = load_mnist()
    n = STEPS * BATCH_SIZE
    return images[:n].reshape(STEPS, BATCH_SIZE, 28, 28), labels[:n].reshape(STEPS, BATCH_SIZE).astype("int64")


def network(dtype="float64"):
    """SynaNN without its dropout layers, and with weights that do not depend on how the package draws them."""
    layers = SynaNN(dtype=dtype).layers.items()
    model = Sequential([(name, layer) for name, layer in layers if not layer.draws_masks], dtype)
    model.load_state_dict(initial_state(model))
    return model


def initial_state(model):
    rng = np.random.default_rng(2018)
    states = {name: draw_state(layer, rng) for name, layer in model.layers.items()}
    return {f"{name}.{key}": a for name, state in states.items() for key, a in state.items()}


@np.errstate(under="ignore")  # what underflows in a softmax is 0
def run_network(dtype):
    """STEPS updates by SGD. Returns losses (STEPS,) before each of them, and the final state."""
    model, optimizer, losses = network(dtype), SGD(**RULE), []
    for images, labels in zip(*training_data(), strict=True):
        log_probs, caches = model.forward(normalise(images, dtype), train=True)
        loss, dlog_probs = nll_loss(log_probs, labels)
        losses.append(loss)
        _, grads = model.backward(dlog_probs, caches)
        optimizer.step(model.params, grads)
    return np.array(losses), model.state_dict()


def compact(state):
    """Of the one large matrix, every tenth column; everything else whole."""
    return {name: a[:, ::10] if a.size > 10_000 else a for name, a in state.items()}


def fingerprint(state):
    """Last element and sum of every array: enough to see that other numbers were drawn."""
    return np.array([(a.flat[-1], a.sum()) for _, a in sorted(state.items())])


def assert_close(results, expected, dtype):
    """Every tensor, to TOLERANCE of its largest element; the names and dtypes too."""
    assert results.keys() == expected.keys()
    for name, e in expected.items():
        a = np.asarray(results[name])
        assert a.dtype == dtype, name
        assert a.shape == e.shape, name
        error = np.abs(a.astype("float64") - e).max()
        bound = TOLERANCE[dtype] * np.abs(e).max()
        assert error <= bound, f"{name}: largest error {error:.2g}, allowed {bound:.2g}"
