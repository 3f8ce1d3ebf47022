"""Functions of single elements, each against its formula for one number."""

import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import ELU, GELU, SELU, Hardtanh, LeakyReLU, SiLU, Softplus, Tanh

LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772


def normal_cdf(x):
    return math.erfc(-x / math.sqrt(2)) / 2


FORMULAS = {  # a layer, and what it makes of one number
    "tanh": (Tanh(), math.tanh),
    "leaky-relu": (LeakyReLU(), lambda x: x if x > 0 else 0.01 * x),
    "leaky-relu-steeper": (LeakyReLU(-0.5), lambda x: x if x > 0 else -0.5 * x),
    "elu": (ELU(), lambda x: x if x > 0 else math.exp(x) - 1),
    "elu-alpha": (ELU(1.7), lambda x: x if x > 0 else 1.7 * (math.exp(x) - 1)),
    "selu": (SELU(), lambda x: LAMBDA * (x if x > 0 else ALPHA * (math.exp(x) - 1))),
    "silu": (SiLU(), lambda x: x / (1 + math.exp(-x))),
    "gelu": (GELU(), lambda x: x * normal_cdf(x)),
    "gelu-tanh": (
        GELU("tanh"),
        lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "softplus": (Softplus(), lambda x: math.log(1 + math.exp(x))),
    "softplus-beta": (Softplus(2.5), lambda x: math.log(1 + math.exp(2.5 * x)) / 2.5),
    "hardtanh": (Hardtanh(), lambda x: max(-1, min(1, x))),
    "relu6": (Hardtanh(0, 6), lambda x: max(0, min(6, x))),
}


class TestActivations(LayerTests):
    cases = {  # noqa: RUF012
        f"{name}-{len(shape)}-axes": (lambda layer=layer, **_: layer, shape)
        for name, (layer, _) in FORMULAS.items()
        for shape in ((1, 7), (3, 2, 4))
    }

    def draw(self, rng, shape):
        """Away from the kinks at −1, 0, 1 and 6."""
        x = rng.uniform(-3, 3, shape)
        return np.where(np.abs(x - np.round(x)) < 0.01, x + 0.05, x)

    def formula(self, layer, x, train):
        function = next(function for known, function in FORMULAS.values() if known is layer)
        y = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            y[index] = function(float(x[index]))
        return y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_no_input_overflows_or_gives_nan(name, dtype):
    layer = FORMULAS[name][0]
    x = np.array([[-1e30, -700, -90, -40, 0, 40, 90, 700, 1e30]], dtype)
    y, cache = layer.forward(x)
    dx, _ = layer.backward(np.ones_like(x), cache)
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()


def test_gelu_is_exact_to_the_last_digits():
    x = np.linspace(-12, 12, 4001)[None]
    y, cache = GELU().forward(x)
    cdf = np.array([normal_cdf(v) for v in x[0]])
    assert np.abs(y[0] - x[0] * cdf).max() < 1e-13
    slope = cdf + x[0] * np.exp(-(x[0] ** 2) / 2) / math.sqrt(2 * math.pi)
    assert np.abs(GELU().backward(np.ones_like(x), cache)[0][0] - slope).max() < 1e-13


@pytest.mark.parametrize(
    ("layer", "slope"),
    [(LeakyReLU(0.1), 0.1), (ELU(2.0), 2.0), (Hardtanh(0, 6), 0.0), (Tanh(), 1.0), (GELU(), 0.5), (SiLU(), 0.5)],
)
def test_the_slope_at_0_is_that_of_torch(layer, slope):
    _, cache = layer.forward(np.zeros((1, 1)))
    assert layer.backward(np.ones((1, 1)), cache)[0] == pytest.approx(slope)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeakyReLU(math.nan), "expected negative_slope"),
        (lambda: ELU("1"), "expected alpha to be a number"),
        (lambda: Softplus(0), "expected beta"),
        (lambda: Hardtanh(2, 1), "expected max_val >= 2"),
        (lambda: GELU("exact"), "approximate to be one of none, tanh"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()
