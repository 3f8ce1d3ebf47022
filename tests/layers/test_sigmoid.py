import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import Sigmoid

CASES = {
    "one-row": (lambda **_: Sigmoid(), (1, 3)),
    "vectors": (lambda **_: Sigmoid(), (4, 3)),
    "images": (lambda **_: Sigmoid(), (2, 3, 4, 5)),
}


class TestSigmoid(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        y = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            y[index] = 1 / (1 + math.exp(-x[index]))
        return y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_ends_are_zero_and_one_without_a_warning(dtype):
    x = np.array([[-np.finfo(dtype).max, -1e4, 0, 1e4, np.finfo(dtype).max]], dtype)
    y, cache = Sigmoid().forward(x)
    np.testing.assert_array_equal(y, np.array([[0, 0, 0.5, 1, 1]], dtype), strict=True)
    dx, _ = Sigmoid().backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(dx, np.array([[0, 0, 0.25, 0, 0]], dtype), strict=True)


def test_the_gradient_keeps_its_digits_where_y_rounds_to_one():
    y, cache = Sigmoid().forward(np.array([[40.0, -40.0]]))
    assert y[0, 0] == 1
    np.testing.assert_allclose(Sigmoid().backward(np.ones((1, 2)), cache)[0], math.exp(-40), rtol=1e-15)


def test_a_nan_is_not_hidden():
    assert np.isnan(Sigmoid().forward(np.array([[np.nan, 1.0]]))[0][0, 0])
