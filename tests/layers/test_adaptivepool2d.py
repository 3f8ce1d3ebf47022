import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d

SHAPES = {
    "global": (1, (2, 3, 4, 5)),
    "divides": ((2, 3), (1, 2, 4, 6)),
    "does-not-divide": ((3, 2), (2, 1, 5, 7)),
    "larger-than-the-image": ((4, 3), (2, 2, 3, 2)),
    "the-same": ((3, 4), (1, 1, 3, 4)),
}


def windows(layer, image):
    for index in np.ndindex(*layer.output_size):
        sides = zip(index, image, layer.output_size, strict=True)
        yield index, tuple(slice(math.floor(k * n / m), math.ceil((k + 1) * n / m)) for k, n, m in sides)


class TestAdaptiveAvgPool2d(LayerTests):
    cases = {name: (lambda size=size, **_: AdaptiveAvgPool2d(size), shape) for name, (size, shape) in SHAPES.items()}  # noqa: RUF012

    def formula(self, layer, x, train):
        y = np.zeros((*x.shape[:2], *layer.output_size))
        for n, c in np.ndindex(*x.shape[:2]):
            for (h, w), window in windows(layer, x.shape[2:]):
                pixels = x[n, c][window].ravel().tolist()
                y[n, c, h, w] = sum(pixels) / len(pixels)
        return y


class TestAdaptiveMaxPool2d(LayerTests):
    cases = {name: (lambda size=size, **_: AdaptiveMaxPool2d(size), shape) for name, (size, shape) in SHAPES.items()}  # noqa: RUF012

    def draw(self, rng, shape):
        """Distinct values, far enough apart for numeric gradients."""
        return rng.permutation(math.prod(shape)).reshape(shape) / math.prod(shape) - 0.5

    def formula(self, layer, x, train):
        y = np.zeros((*x.shape[:2], *layer.output_size))
        for n, c in np.ndindex(*x.shape[:2]):
            for (h, w), window in windows(layer, x.shape[2:]):
                y[n, c, h, w] = max(x[n, c][window].ravel().tolist())
        return y


def test_of_equal_pixels_the_first_gets_the_gradient():
    layer = AdaptiveMaxPool2d(1)
    _, cache = layer.forward(np.zeros((1, 1, 2, 2)))
    np.testing.assert_array_equal(layer.backward(np.full((1, 1, 1, 1), 3.0), cache)[0][0, 0], [[3, 0], [0, 0]])


@pytest.mark.parametrize("kind", [AdaptiveAvgPool2d, AdaptiveMaxPool2d])
def test_what_cannot_be_pooled_is_refused_by_name(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__}\(.*expected at least one pixel"):
        kind(2).forward(np.zeros((1, 1, 0, 3)))
    with pytest.raises(ValueError, match="expected output_size >= 1"):
        kind((2, 0))
