import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.gradcheck import check_layer
from synann_np.layers import BatchNorm1d, BatchNorm2d

CASES = {
    "vectors": (lambda **options: BatchNorm1d(3, **options), (5, 3)),
    "two-rows-and-a-large-eps": (lambda **options: BatchNorm1d(4, eps=0.5, **options), (2, 4)),
    "one-channel": (lambda **options: BatchNorm1d(1, **options), (3, 1)),
    "sequences": (lambda **options: BatchNorm1d(3, **options), (2, 3, 5)),
    "one-sequence": (lambda **options: BatchNorm1d(2, **options), (1, 2, 4)),
    "images": (lambda **options: BatchNorm2d(2, **options), (3, 2, 4, 5)),
    "one-image": (lambda **options: BatchNorm2d(3, **options), (1, 3, 2, 4)),
}


class TestBatchNorm(LayerTests):
    cases = CASES
    rows_mix_in_training = True

    def draw(self, rng, shape):
        """Channels with a mean and a spread of their own."""
        column = (shape[1], *[1] * (len(shape) - 2))
        return rng.normal(size=column) + rng.uniform(0.5, 3, column) * rng.standard_normal(shape)

    def randomise(self, layer, rng):
        super().randomise(layer, rng)
        C = layer.num_features
        layer.buffers["running_mean"][...] = rng.standard_normal(C)
        layer.buffers["running_var"][...] = rng.uniform(0.5, 2, C)

    def formula(self, layer, x, train):
        weight, bias = layer.params["weight"], layer.params["bias"]
        y = np.zeros(x.shape)
        for c in range(x.shape[1]):
            values = [float(value) for value in x[:, c].ravel()]
            if train:
                mean = sum(values) / len(values)
                var = sum((value - mean) ** 2 for value in values) / len(values)
            else:
                mean, var = layer.buffers["running_mean"][c], layer.buffers["running_var"][c]
            for n in range(len(x)):
                y[n, c] = weight[c] * (x[n, c] - mean) / math.sqrt(var + layer.eps) + bias[c]
        return y


def test_weights_and_statistics_start_at_the_identity():
    layer = BatchNorm1d(3)
    np.testing.assert_array_equal(layer.params["weight"], [1, 1, 1])
    np.testing.assert_array_equal(layer.params["bias"], [0, 0, 0])
    np.testing.assert_array_equal(layer.buffers["running_mean"], [0, 0, 0])
    np.testing.assert_array_equal(layer.buffers["running_var"], [1, 1, 1])


def test_one_row_in_evaluation_has_right_gradients(rng):
    layer = BatchNorm1d(3, dtype="float64")
    for name, a in (layer.params | layer.buffers).items():
        a[...] = rng.uniform(0.5, 2, 3) if name == "running_var" else rng.standard_normal(3)
    check_layer(layer, rng.standard_normal((1, 3)), rng, train=False)


@pytest.mark.parametrize("momentum", [0.1, 0.25, 0.0, 1.0])
@pytest.mark.parametrize("shape", [(4, 2), (3, 2, 5), (2, 2, 3, 2)])
def test_training_moves_the_running_statistics_by_the_mean_and_the_unbiased_variance(shape, momentum, rng):
    make = BatchNorm2d if len(shape) == 4 else BatchNorm1d
    layer = make(2, momentum=momentum, dtype="float64")
    expected_mean, expected_var = [0.0, 0.0], [1.0, 1.0]
    for _ in range(3):
        x = rng.normal(2, 3, shape)
        layer.forward(x, train=True)
        for c in range(2):
            values = [float(value) for value in x[:, c].ravel()]
            mean = sum(values) / len(values)
            unbiased = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
            expected_mean[c] = (1 - momentum) * expected_mean[c] + momentum * mean
            expected_var[c] = (1 - momentum) * expected_var[c] + momentum * unbiased
        np.testing.assert_allclose(layer.buffers["running_mean"], expected_mean, rtol=1e-12)
        np.testing.assert_allclose(layer.buffers["running_var"], expected_var, rtol=1e-12)


def test_training_moves_the_running_statistics_in_place(rng):
    layer = BatchNorm1d(2, dtype="float64")
    before = dict(layer.buffers)
    layer.forward(rng.standard_normal((3, 2)), train=True)
    for name, a in layer.buffers.items():
        assert a is before[name]


def test_evaluation_does_not_move_the_running_statistics(rng):
    layer = BatchNorm1d(2, dtype="float64")
    layer.forward(rng.standard_normal((5, 2)), train=True)
    before = {name: a.copy() for name, a in layer.buffers.items()}
    y, cache = layer.forward(rng.standard_normal((5, 2)))
    layer.backward(y, cache)
    for name, a in layer.buffers.items():
        np.testing.assert_array_equal(a, before[name])


def test_backward_does_not_move_the_running_statistics(rng):
    layer = BatchNorm1d(2, dtype="float64")
    y, cache = layer.forward(rng.standard_normal((5, 2)), train=True)
    before = {name: a.copy() for name, a in layer.buffers.items()}
    layer.backward(y, cache)
    for name, a in layer.buffers.items():
        np.testing.assert_array_equal(a, before[name])


def test_in_training_every_channel_comes_out_with_mean_zero_and_variance_one(rng):
    y, _ = BatchNorm2d(3, dtype="float64").forward(rng.normal(4, 7, (5, 3, 6, 2)), train=True)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-15)
    np.testing.assert_allclose(y.var(axis=(0, 2, 3)), 1, rtol=1e-5)


def test_a_constant_dy_gives_no_gradient_in_training(rng):
    """So a check with dy = 1 cannot see a backward that returns zeros."""
    layer = BatchNorm1d(3, dtype="float64")
    y, cache = layer.forward(rng.standard_normal((5, 3)), train=True)
    np.testing.assert_allclose(layer.backward(np.ones_like(y), cache)[0], 0, atol=1e-15)


def test_a_constant_channel_gives_its_bias():
    layer = BatchNorm1d(1)
    layer.params["bias"][...] = 3
    y, cache = layer.forward(np.full((4, 1), 7, "float32"), train=True)
    np.testing.assert_array_equal(y, 3)
    assert np.isfinite(layer.backward(y, cache)[0]).all()


def test_a_large_mean_does_not_drown_the_variance():
    x = np.array([[4096.0], [4097.0], [4098.0]], "float32")
    y, _ = BatchNorm1d(1).forward(x, train=True)  # a mean of squares less a squared mean would lose all digits
    np.testing.assert_allclose(y[:, 0], [-math.sqrt(1.5), 0, math.sqrt(1.5)], rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "shape"), [(BatchNorm1d, (1, 3)), (BatchNorm1d, (1, 3, 1)), (BatchNorm2d, (1, 3, 1, 1))]
)
def test_training_on_one_value_a_channel_is_refused_and_changes_nothing(make, shape):
    layer = make(3)
    with pytest.raises(ValueError, match="more than one value per channel"):
        layer.forward(np.ones(shape, "float32"), train=True)
    np.testing.assert_array_equal(layer.buffers["running_mean"], 0)
    np.testing.assert_array_equal(layer.buffers["running_var"], 1)
    layer.forward(np.ones(shape, "float32"), train=False)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (BatchNorm1d, (4, 1)),
        (BatchNorm1d, (4, 2)),
        (BatchNorm1d, (4, 1, 3)),
        (BatchNorm1d, (3,)),
        (BatchNorm1d, (4, 3, 2, 2)),
        (BatchNorm2d, (4, 1, 2, 2)),
        (BatchNorm2d, (4, 3)),
        (BatchNorm2d, (4, 3, 2)),
    ],
)
def test_a_wrong_width_is_refused_not_broadcast(make, shape, train):
    with pytest.raises(ValueError, match="expected input"):
        make(3).forward(np.zeros(shape, "float32"), train=train)
