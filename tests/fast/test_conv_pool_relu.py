"""Convolution, pooling and relu as one block, against the three plain layers."""

import numpy as np
import pytest

from synann_np.fast.conv_pool_relu import ConvPoolRelu
from synann_np.layers import Conv2d, MaxPool2d, ReLU

CASES = {
    "as conv1": ((3, 1, 28, 28), 4, 5, True),
    "as conv2": ((7, 10, 12, 12), 20, 5, True),
    "odd output, remainder unseen": ((2, 3, 9, 8), 2, 3, True),
    "kernel pair, no bias": ((1, 2, 7, 10), 3, (1, 5), False),
    "one window": ((4, 2, 4, 4), 2, 3, True),
    "kernel of one": ((2, 2, 4, 6), 3, 1, True),
}


def plain(conv, x, mask, dy):
    pool, relu = MaxPool2d(2), ReLU()
    z, conv_cache = conv.forward(x)
    if mask is not None:
        z = z * mask
    p, pool_cache = pool.forward(z)
    y, relu_cache = relu.forward(p)
    dp, _ = relu.backward(dy, relu_cache)
    dz, _ = pool.backward(dp, pool_cache)
    dx, grads = conv.backward(dz if mask is None else dz * mask, conv_cache)
    return y, dx, grads


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-13)])
def test_it_equals_the_plain_layers(name, background, masked, dtype, tolerance):
    shape, filters, kernel, bias = CASES[name]
    rng = np.random.default_rng(11)
    conv = Conv2d(shape[1], filters, kernel, bias=bias, rng=rng, dtype=dtype)
    x = rng.standard_normal(shape).astype(dtype)
    if background:  # constant pixels: whole windows tie, and the first has to win
        x[:, :, : shape[2] // 2] = -0.4242
    mask = (2.0 * (rng.random((shape[0], filters, 1, 1)) < 0.5)).astype(dtype) if masked else None
    block = ConvPoolRelu(conv)
    y, cache = block.forward(x, mask)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, grads = block.backward(dy, cache)
    y_plain, dx_plain, grads_plain = plain(conv, x, mask, dy)
    assert grads.keys() == grads_plain.keys()
    for tensor, a, b in (("y", y, y_plain), ("dx", dx, dx_plain), *((k, grads[k], grads_plain[k]) for k in grads)):
        assert a.dtype == dtype, tensor
        assert a.shape == b.shape, tensor
        assert np.abs(a - b).max() <= tolerance * max(1, np.abs(b).max()), tensor


def test_ties_between_exact_equals_go_to_the_first_in_row_major_order():
    conv = Conv2d(1, 1, 1, rng=np.random.default_rng(0), dtype="float64")
    conv.params["weight"][...], conv.params["bias"][...] = 1.0, 0.0
    dy = np.ones((1, 1, 1, 1))
    windows = {(5, 5, 5, 5): 0, (1, 5, 5, 5): 1, (1, 2, 5, 5): 2, (1, 2, 4, 5): 3, (5, 2, 5, 1): 0, (2, 5, 1, 5): 1}
    for pixels, winner in windows.items():
        block = ConvPoolRelu(conv)
        _, cache = block.forward(np.array(pixels, "float64").reshape(1, 1, 2, 2))
        dx, _ = block.backward(dy, cache)
        assert dx.reshape(-1).tolist() == [float(k == winner) for k in range(4)], pixels


def test_inputs_are_not_modified_and_the_input_gradient_can_be_left_out():
    rng = np.random.default_rng(1)
    conv = Conv2d(2, 3, 3, rng=rng)
    x, mask = rng.standard_normal((4, 2, 8, 8)).astype("float32"), np.full((4, 3, 1, 1), 2.0, "float32")
    before = x.copy(), mask.copy()
    _y, cache = ConvPoolRelu(conv, input_gradient=False).forward(x, mask)
    dy = (
        rng.standard_normal((3, 3, 3, 4)).astype("float32").transpose(3, 0, 1, 2)
    )  # batch innermost: copied, not reused
    dy_before = dy.copy()
    dx, grads = ConvPoolRelu(conv, input_gradient=False).backward(dy, cache)
    assert dx is None
    assert grads.keys() == {"weight", "bias"}
    for a, b in ((x, before[0]), (mask, before[1]), (dy, dy_before)):
        assert np.array_equal(a, b)
