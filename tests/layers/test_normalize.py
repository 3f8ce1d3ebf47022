import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import Normalize

CASES = {
    "one-row": (lambda **o: Normalize(3, **o), (1, 3)),
    "table": (lambda **o: Normalize(4, **o), (5, 4)),
    "images": (lambda **o: Normalize(3, **o), (2, 3, 4, 5)),
    "sequences": (lambda **o: Normalize(2, **o), (3, 2, 4)),
}


class TestNormalize(LayerTests):
    cases = CASES

    def randomise(self, layer, rng):
        layer.buffers["mean"][...] = rng.standard_normal(layer.num_features)
        layer.buffers["std"][...] = rng.uniform(0.5, 2, layer.num_features)

    def formula(self, layer, x, train):
        y = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            c = index[1]
            y[index] = (x[index] - layer.buffers["mean"][c]) / layer.buffers["std"][c]
        return y


@pytest.mark.parametrize("shape", [(50, 3), (20, 3, 4, 5)])
def test_from_data_gives_every_channel_mean_0_and_variance_1(shape, rng):
    x = rng.standard_normal(shape) * 7 + 100
    y, _ = Normalize.from_data(x, dtype="float64").forward(x)
    axes = (0, *range(2, len(shape)))
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=axes), 1, rtol=1e-12)


@pytest.mark.parametrize("shape", [(20, 4, 5), (20, 3, 4, 5)])
def test_bytes_are_measured_as_pixels_in_0_to_1(shape, rng):
    images = rng.integers(0, 256, shape).astype("uint8")
    layer = Normalize.from_data(images, dtype="float64")
    x = (images if images.ndim == 4 else images[:, None]) / 255
    np.testing.assert_allclose(layer.buffers["mean"], x.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(layer.buffers["std"], x.std(axis=(0, 2, 3)), rtol=1e-12)


def test_a_constant_feature_is_only_shifted():
    x = np.column_stack([np.full(7, 0.1), np.arange(7.0), np.zeros(7)])
    layer = Normalize.from_data(x, dtype="float64")
    assert layer.buffers["std"].tolist() == [1.0, 2.0, 1.0]
    np.testing.assert_allclose(layer.forward(x)[0][:, 0], 0, atol=1e-15)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), "expected data"),
        (np.zeros((0, 3)), "expected data"),
        (np.array([[1, 2], [3, np.nan]]), "feature 1"),
    ],
)
def test_data_without_mean_and_deviation_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        Normalize.from_data(x)
