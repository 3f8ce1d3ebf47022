import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.gradcheck import check_layer
from synann_np.layers import LogSoftmax

CASES = {
    "one-row": (lambda **_: LogSoftmax(), (1, 4)),
    "sizes-all-different": (lambda **_: LogSoftmax(), (5, 3)),
    "one-class": (lambda **_: LogSoftmax(), (3, 1)),
    "more-axes": (lambda **_: LogSoftmax(), (2, 3, 4)),
    "first-axis-of-a-row": (lambda **_: LogSoftmax(axis=1), (2, 3, 4)),
    "last-but-one": (lambda **_: LogSoftmax(-2), (2, 3, 1, 4)),
}


class TestLogSoftmax(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        x = np.moveaxis(x, layer.axis, -1)
        y = np.zeros(x.shape)
        for row in np.ndindex(*x.shape[:-1]):
            total = sum(math.exp(value) for value in x[row])
            for i, value in enumerate(x[row]):
                y[row][i] = value - math.log(total)
        return np.moveaxis(y, -1, layer.axis)


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


def test_axis_0_is_the_batch_and_says_that_rows_mix(rng):
    layer, x = LogSoftmax(axis=0), rng.standard_normal((4, 3))
    assert layer.mixes_rows
    assert not LogSoftmax(axis=1).mixes_rows
    np.testing.assert_array_equal(layer.forward(x)[0], LogSoftmax().forward(x.T)[0].T)
    check_layer(layer, x, rng)


@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_x_does_not_have_is_refused(axis):
    with pytest.raises(ValueError, match=rf"LogSoftmax\(axis={axis}\): expected input with elements along axis"):
        LogSoftmax(axis).forward(np.zeros((2, 3)))


def test_no_elements_along_the_axis_are_refused():
    with pytest.raises(ValueError, match="expected input with elements along axis -1"):
        LogSoftmax().forward(np.zeros((2, 0)))


def test_a_negative_axis_that_means_the_batch_is_refused():
    with pytest.raises(ValueError, match="write axis=0"):
        LogSoftmax(-2).forward(np.zeros((2, 3)))
