"""Hand-derived gradients against numeric ones, and the other promises of a layer."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from .arguments import generator
from .backend import Array, Rng, get_backend

STEP = 1e-5  # of the central differences


def check_layer(layer: Any, x: Array, rng: Rng, train: bool = False, tolerance: float = 1e-6) -> None:
    """Compare layer.backward with central differences of layer.forward, every element of x and of every parameter.

    The loss is L = Σ dy · y with a random dy. A constant dy would hide errors: the rows of a softmax sum to 1 and the
    columns of a batch-norm to 0, so that with dy = 1 a backward that returns zeros passes.

    (L(v + h) − L(v − h)) / 2h differs from ∂L/∂v by about h² L‴ and by rounding, ε |y| / h; with h = 1e-5 and float64
    both are near 1e-10. That is why float64 is required: in float32 rounding hides the difference.

    It also checks what callers rely on:
        forward and backward leave x, dy and the parameters as they are (buffers are put back);
        the same call gives the same y, with `step` given where draws_masks is True;
        rows of a batch do not mix, unless mixes_rows is True;
        y, dx and the gradients are float64 for float64, and in a copy of the layer float32 for float32.

    Arguments:
        layer: with float64 weights, if any. Give batch-norm random weights: 1 and 0 hide errors.
        x: input, float64. Keep it away from kinks (relu at 0, ties of a maximum) by more than 1e-5.
        rng: numpy.random.Generator, draws dy.
        train: passed to forward.
        tolerance: largest relative error of an element; 1e-10 of the largest element, and rounding, is allowed
            in any element.

    Raises:
        AssertionError: naming the tensor, if a gradient is missing, unknown, of another shape, or wrong; or naming the
            promise that is not kept.
        TypeError: x or a parameter is not float64, or rng is not a Generator.
    """
    rng = generator("check_layer", rng)
    backend = getattr(layer, "backend", None) or get_backend("numpy")
    host = backend.to_host
    arrays = {"x": x, **layer.params}
    for name, a in arrays.items():
        if getattr(a, "dtype", None) != np.float64:
            kind = getattr(a, "dtype", type(a).__name__)
            raise TypeError(f"check_layer: expected float64, but {name} of {layer} is {kind}")
    buffers = {name: host(a).copy() for name, a in getattr(layer, "buffers", {}).items()}
    before = {name: host(a).copy() for name, a in arrays.items()}

    y, cache = _forward(layer, x, train)
    dy_host = rng.standard_normal(y.shape)
    dy = backend.asarray(dy_host.copy())
    dx, grads = layer.backward(dy, cache)
    assert grads.keys() == layer.params.keys(), f"{layer}: grads of {sorted(grads)}, params are {sorted(layer.params)}"
    for name, a in arrays.items():
        assert np.array_equal(host(a), before[name]), f"{layer}: {name} was modified"
    assert np.array_equal(host(dy), dy_host), f"{layer}: dy was modified"
    _check_promises(layer, x, train, host(y), backend)
    _check_dtypes(layer, "float64", y, dx, grads)
    if (narrow := _in_float32(layer)) is not None:
        y32, cache = _forward(narrow, x.astype("float32"), train)
        _check_dtypes(layer, "float32", y32, *narrow.backward(dy.astype("float32"), cache))

    for name, a in arrays.items():
        analytic = host(dx if name == "x" else grads[name])
        numeric = numeric_gradient(lambda: host(_forward(layer, x, train)[0]) * dy_host, a, STEP)
        assert analytic.shape == numeric.shape, f"{layer}: d{name} is {analytic.shape}, {name} is {numeric.shape}"
        assert np.isfinite(numeric).all(), f"{layer}: the numeric gradient of {name} is not finite: forward overflows"
        scale = np.abs(numeric).max(initial=0)
        rounding = 4 * np.finfo(float).eps * float(np.linalg.norm(host(y) * dy_host)) / STEP
        error, allowed = np.abs(analytic - numeric), tolerance * np.abs(numeric) + 1e-10 * scale + 1e-9 + rounding
        right = error <= allowed  # false for a NaN
        if not right.all():
            at = tuple(map(int, np.argwhere(~right)[0]))
            raise AssertionError(
                f"{layer}: d{name} is wrong at {at}: {analytic[at]:.6g}, numerically {numeric[at]:.6g} (train={train})"
            )
    for name, b in buffers.items():
        layer.buffers[name][...] = backend.asarray(b)


def numeric_gradient(loss: Callable[[], Any], a: Array, h: float = STEP) -> Array:
    """Central differences ∂loss/∂a, element by element; a (any backend, float64) is put back as it was.

    Arguments:
        loss: function without arguments that reads a and returns a float, or a host array of terms: their differences
            are summed, so that terms which do not depend on an element cannot drown it.
        h: step.

    Returns: host array of the shape of a.
    """
    gradient = np.empty(a.shape)
    for index in np.ndindex(*a.shape):
        value = float(a[index])
        a[index] = value + h
        above = loss()
        a[index] = value - h
        below = loss()
        a[index] = value
        gradient[index] = np.sum(above - below) / (2 * h)
    return gradient


def _forward(layer, x, train):
    """forward as a training loop calls it."""
    if getattr(layer, "draws_masks", False):
        return layer.forward(x, train=train, step=0)
    return layer.forward(x, train=train)


def _check_promises(layer, x, train, y, backend):
    again = backend.to_host(_forward(layer, x, train)[0])
    assert np.array_equal(y, again, equal_nan=True), (
        f"{layer}: the same call gave another y: random masks must be a function of `step` (set draws_masks = True)"
    )
    if getattr(layer, "mixes_rows", False) or len(x) == 0:
        return
    longer = backend.asarray(np.concatenate([backend.to_host(x), 0.9 * backend.to_host(x)[::-1]]))
    beside_others = backend.to_host(_forward(layer, longer, train)[0])[: len(y)]
    close = beside_others.shape == y.shape and np.allclose(beside_others, y, rtol=1e-9, atol=1e-12, equal_nan=True)
    assert close, f"{layer}: y changes with the other rows of the batch: set mixes_rows = True"


def _check_dtypes(layer, dtype, y, dx, grads):
    for name, a in {"y": y, "dx": dx, **{f"d{name}": g for name, g in grads.items()}}.items():
        assert a.dtype == dtype, f"{layer}: {dtype} in, but {name} is {a.dtype}"


def _in_float32(layer):
    """A copy whose float64 arrays are float32, or None where it cannot be copied."""
    backend = getattr(layer, "backend", None)
    try:
        narrow = copy.deepcopy(layer, {id(backend): backend})
    except TypeError:  # it holds a module, a lock, a file
        return None
    _cast(narrow)
    return narrow


def _cast(layer):
    if str(getattr(layer, "dtype", None)) == "float64":
        layer.dtype = np.dtype("float32")
    for owner in (vars(layer), *(v for v in vars(layer).values() if isinstance(v, dict))):
        for name, value in owner.items():
            if hasattr(value, "forward"):
                _cast(value)
            elif hasattr(value, "astype") and value.dtype == np.float64:
                owner[name] = value.astype("float32")
