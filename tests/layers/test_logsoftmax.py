import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import LogSoftmax

CASES = {
    "one-row": (lambda **_: LogSoftmax(), (1, 4)),
    "sizes-all-different": (lambda **_: LogSoftmax(), (5, 3)),
    "one-class": (lambda **_: LogSoftmax(), (3, 1)),
    "more-axes": (lambda **_: LogSoftmax(), (2, 3, 4)),
}


class TestLogSoftmax(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        y = np.zeros(x.shape)
        for row in np.ndindex(*x.shape[:-1]):
            total = sum(math.exp(value) for value in x[row])
            for i in range(x.shape[-1]):
                y[row][i] = x[row][i] - math.log(total)
        return y


def test_the_exponentials_of_a_row_sum_to_one(rng):
    y, _ = LogSoftmax().forward(rng.normal(scale=10, size=(50, 7)))
    np.testing.assert_allclose(np.exp(y).sum(axis=-1), 1, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_rows_stay_finite_where_the_logarithm_of_a_softmax_would_not(dtype):
    with np.errstate(under="ignore"):  # e^(−2·10⁴) is meant to be 0
        y, cache = LogSoftmax().forward(np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype))
        dx, _ = LogSoftmax().backward(np.array([[1, 2, 3], [1, 2, 4]], dtype), cache)
    np.testing.assert_allclose(y, [[0, -2e4, -1e4], [-math.log(3)] * 3], rtol=1e-6)
    np.testing.assert_allclose(dx, [[-5, 2, 3], [-4 / 3, -1 / 3, 5 / 3]], rtol=1e-6)


def test_the_gradient_of_a_row_sums_to_zero(rng):
    y, cache = LogSoftmax().forward(rng.standard_normal((3, 5)))
    dx, _ = LogSoftmax().backward(rng.standard_normal(y.shape), cache)
    np.testing.assert_allclose(dx.sum(axis=-1), 0, atol=1e-15)
