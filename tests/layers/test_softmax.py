import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import Softmax

CASES = {
    "one-row": (lambda **_: Softmax(), (1, 4)),
    "sizes-all-different": (lambda **_: Softmax(), (5, 3)),
    "one-class": (lambda **_: Softmax(), (3, 1)),
    "more-axes": (lambda **_: Softmax(), (2, 3, 4)),
}


class TestSoftmax(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        y = np.zeros(x.shape)
        for row in np.ndindex(*x.shape[:-1]):
            total = sum(math.exp(value) for value in x[row])
            for i in range(x.shape[-1]):
                y[row][i] = math.exp(x[row][i]) / total
        return y


def test_rows_sum_to_one(rng):
    y, _ = Softmax().forward(rng.normal(scale=10, size=(50, 7)))
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-14)


def test_a_constant_added_to_a_row_changes_nothing(rng):
    x = rng.integers(-5, 5, (4, 3)).astype("float64")
    np.testing.assert_array_equal(Softmax().forward(x + 2.0**40)[0], Softmax().forward(x)[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_exponential_overflows(dtype):
    with np.errstate(under="ignore"):  # e^(−2·10⁴) is meant to be 0
        y, cache = Softmax().forward(np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype))
        dx, _ = Softmax().backward(np.array([[1, 2, 3], [1, 2, 4]], dtype), cache)
    np.testing.assert_allclose(y, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(dx, [[0, 0, 0], [-4 / 9, -1 / 9, 5 / 9]], rtol=1e-5, atol=1e-7)


def test_a_constant_dy_gives_no_gradient(rng):
    """So a check with dy = 1 cannot see a backward that returns zeros."""
    y, cache = Softmax().forward(rng.standard_normal((3, 5)))
    dx, _ = Softmax().backward(np.ones_like(y), cache)
    np.testing.assert_allclose(dx, 0, atol=1e-16)
