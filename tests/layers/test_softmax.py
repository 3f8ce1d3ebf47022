import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.gradcheck import check_layer
from synann_np.layers import Softmax

CASES = {
    "one-row": (lambda **_: Softmax(), (1, 4)),
    "sizes-all-different": (lambda **_: Softmax(), (5, 3)),
    "one-class": (lambda **_: Softmax(), (3, 1)),
    "more-axes": (lambda **_: Softmax(), (2, 3, 4)),
    "first-axis-of-a-row": (lambda **_: Softmax(axis=1), (2, 3, 4)),
    "last-but-one": (lambda **_: Softmax(-2), (2, 3, 1, 4)),
}


class TestSoftmax(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        x = np.moveaxis(x, layer.axis, -1)
        y = np.zeros(x.shape)
        for row in np.ndindex(*x.shape[:-1]):
            total = sum(math.exp(value) for value in x[row])
            for i, value in enumerate(x[row]):
                y[row][i] = math.exp(value) / total
        return np.moveaxis(y, -1, layer.axis)


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


def test_axis_0_is_the_batch_and_says_that_rows_mix(rng):
    layer, x = Softmax(axis=0), rng.standard_normal((4, 3))
    assert layer.mixes_rows
    assert not Softmax(axis=1).mixes_rows
    np.testing.assert_array_equal(layer.forward(x)[0], Softmax().forward(x.T)[0].T)
    check_layer(layer, x, rng)


@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_x_does_not_have_is_refused(axis):
    with pytest.raises(ValueError, match=rf"Softmax\(axis={axis}\): expected input with elements along axis"):
        Softmax(axis).forward(np.zeros((2, 3)))


def test_no_elements_along_the_axis_are_refused():
    with pytest.raises(ValueError, match="expected input with elements along axis -1"):
        Softmax().forward(np.zeros((2, 0)))


def test_a_negative_axis_that_means_the_batch_is_refused():
    with pytest.raises(ValueError, match="write axis=0"):
        Softmax(-2).forward(np.zeros((2, 3)))
