import numpy as np

from layers.standard import LayerTests
from synann_np.layers import ReLU

CASES = {
    "one-row": (lambda **_: ReLU(), (1, 3)),
    "vectors": (lambda **_: ReLU(), (4, 3)),
    "images": (lambda **_: ReLU(), (2, 3, 4, 5)),
}


class TestReLU(LayerTests):
    cases = CASES

    def draw(self, rng, shape):
        """Both signs, away from the kink at 0."""
        return rng.uniform(0.1, 1, shape) * rng.choice([-1, 1], shape)

    def formula(self, layer, x, train):
        y = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            y[index] = x[index] if x[index] > 0 else 0
        return y


def test_the_gradient_at_zero_is_zero():
    layer = ReLU()
    y, cache = layer.forward(np.array([[0.0, -0.0, 5e-324, -5e-324]]))
    np.testing.assert_array_equal(y, [[0, 0, 5e-324, 0]])
    dx, _ = layer.backward(np.full((1, 4), 3.0), cache)
    np.testing.assert_array_equal(dx, [[0, 0, 3, 0]])


def test_a_nan_is_not_hidden():
    y, _ = ReLU().forward(np.array([[np.nan, 1.0]]))
    assert np.isnan(y[0, 0])
