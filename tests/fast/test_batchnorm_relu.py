"""Batch-norm and relu as one, against the two layers."""

import numpy as np
import pytest

from synann_np.fast.batchnorm_relu import BatchNormRelu
from synann_np.gradcheck import check_layer
from synann_np.layers import BatchNorm1d, BatchNorm2d, ReLU


def norms(kind, dtype, seed=0):
    """Two equal layers with random weight, bias and running statistics."""
    rng = np.random.default_rng(seed)
    layers = [kind(5, momentum=0.3, dtype=dtype) for _ in range(2)]
    for name in ("weight", "bias"):
        values = rng.normal(size=5)
        for layer in layers:
            layer.params[name][...] = values
    for name in ("running_mean", "running_var"):
        values = rng.uniform(0.5, 2, 5)
        for layer in layers:
            layer.buffers[name][...] = values
    return layers


def both(kind, x, dy, train):
    plain, shared = norms(kind, x.dtype)
    relu, fused = ReLU(), BatchNormRelu(shared)
    middle, norm_cache = plain.forward(x, train)
    expected, relu_cache = relu.forward(middle, train)
    y, cache = fused.forward(x, train)
    dx, grads = plain.backward(relu.backward(dy, relu_cache)[0], norm_cache)
    fused_dx, fused_grads = fused.backward(dy, cache)
    return {"y": expected, "dx": dx} | plain.buffers | grads, {"y": y, "dx": fused_dx} | fused.buffers | fused_grads


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize(
    ("kind", "shape"), [(BatchNorm2d, (7, 5, 3, 4)), (BatchNorm1d, (7, 5)), (BatchNorm2d, (1, 5, 2, 3))]
)
@pytest.mark.parametrize("innermost", [False, True])
def test_it_equals_the_two_layers(kind, shape, dtype, tolerance, train, innermost):
    rng = np.random.default_rng(1)
    x, dy = (rng.normal(2, 3, shape).astype(dtype) for _ in range(2))
    if innermost:  # batch innermost in memory, as convolutions leave it
        x, dy = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0) for a in (x, dy))
    before = x.copy(), dy.copy()
    expected, fused = both(kind, x, dy, train)
    assert expected.keys() == fused.keys()
    for name, e in expected.items():
        assert fused[name].dtype == dtype
        assert fused[name].shape == e.shape
        assert np.abs(fused[name] - e).max() <= tolerance * np.abs(e).max(), name
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(dy, before[1])


@pytest.mark.parametrize("train", [False, True])
def test_backward_equals_numeric_gradients(train):
    layer = BatchNormRelu(norms(BatchNorm2d, "float64")[0])
    rng = np.random.default_rng(3)
    check_layer(layer, rng.normal(size=(4, 5, 3, 2)), rng, train)


def test_what_batch_norm_refuses_is_refused():
    layer = BatchNormRelu(norms(BatchNorm2d, "float32")[0])
    with pytest.raises(ValueError, match="expected input"):
        layer.forward(np.zeros((2, 4, 3, 3), "float32"))
    with pytest.raises(TypeError, match="float32"):
        layer.forward(np.zeros((2, 5, 3, 3)))
    with pytest.raises(ValueError, match="more than one value"):
        layer.forward(np.zeros((1, 5, 1, 1), "float32"), train=True)
