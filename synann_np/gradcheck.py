"""Hand-derived gradients against numeric ones."""

import numpy as np

from .backend import get_backend


def check_layer(layer, x, rng, train=False, tolerance=1e-6):
    """Compare layer.backward with central differences of layer.forward, every element of x and of every parameter.

    The loss is L = Σ dy · y with a random dy. A constant dy would be blind: the rows of a softmax sum to 1 and the
    columns of a batch-norm to 0, so that with dy = 1 a backward that returns zeros passes.

    (L(v + h) − L(v − h)) / 2h differs from ∂L/∂v by about h² L‴ and by rounding, ε L / h; with h = 1e-5 and float64
    both are near 1e-10. That is why float64 is required: in float32 the difference drowns.

    Arguments:
        layer: with float64 weights, if any. Give batch-norm random weights: 1 and 0 hide errors.
        x: input, float64. Keep it away from kinks (relu at 0, ties of a maximum) by more than 1e-5.
        rng: numpy.random.Generator, draws dy.
        train: passed to forward.
        tolerance: largest error allowed, relative to the largest element of the numeric gradient.

    Raises:
        AssertionError: naming the tensor, if a gradient is missing, unknown, of another shape, or wrong; or if forward
            or backward changed its input.
        TypeError: x or a parameter is not float64.
    """
    backend = getattr(layer, "backend", None) or get_backend("numpy")
    arrays = {"x": x, **layer.params}
    for name, a in arrays.items():
        if a.dtype != np.float64:
            raise TypeError(f"check_layer: expected float64, but {name} of {layer} is {a.dtype}")

    def forward():
        y, cache = layer.forward(x, train=train)
        return y, cache

    before = {name: backend.to_host(a).copy() for name, a in arrays.items()}
    y, cache = forward()
    dy_host = rng.standard_normal(y.shape)
    dy = backend.asarray(dy_host.copy())
    dx, grads = layer.backward(dy, cache)
    assert grads.keys() == layer.params.keys(), f"{layer}: grads of {sorted(grads)}, params are {sorted(layer.params)}"
    for name, a in arrays.items():
        assert np.array_equal(backend.to_host(a), before[name]), f"{layer}: {name} was modified"
    assert np.array_equal(backend.to_host(dy), dy_host), f"{layer}: dy was modified"

    for name, a in arrays.items():
        analytic = backend.to_host(dx if name == "x" else grads[name])
        numeric = numeric_gradient(lambda: float(backend.to_host((forward()[0] * dy).sum())), a)
        assert analytic.shape == numeric.shape, f"{layer}: d{name} is {analytic.shape}, {name} is {numeric.shape}"
        error = np.abs(analytic - numeric).max(initial=0)
        scale = np.abs(numeric).max(initial=0)
        assert error <= tolerance * scale + 1e-9, (  # not ≤ is also true of a NaN
            f"{layer}: d{name} is wrong by {error:.2e}, its largest element is {scale:.2e} (train={train})"
        )


def numeric_gradient(loss, a, h=1e-5):
    """Central differences ∂loss/∂a, element by element; a (any backend, float64) is put back as it was.

    Arguments: loss: function without arguments that reads a and returns a float. h: step.

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
        gradient[index] = (above - below) / (2 * h)
    return gradient
