"""The convolution in C against the plain layer."""

import numpy as np
import pytest

from fast.loops.compiled import TOLERANCES, assert_equal, assert_same_bits, require, run
from synann_np.fast.loops.conv2d import FastConv2d
from synann_np.layers import Conv2d

CASES = {  # x (N, C, H, W), filters, kernel, padding
    "3x3": ((5, 4, 7, 8), 6, 3, 0),
    "padding": ((5, 4, 7, 8), 6, 3, 1),
    "unequal kernel and padding": ((3, 2, 6, 9), 7, (1, 5), (0, 2)),
    "kernel of one": ((4, 3, 5, 5), 13, 1, 0),
    "even kernel": ((2, 5, 6, 7), 3, (2, 4), (1, 3)),
    "one of everything": ((1, 1, 1, 1), 1, 1, 0),
    "one output": ((6, 9, 3, 3), 5, 3, 0),
    "long rows": ((70, 5, 4, 12), 12, 3, 1),
}
all_cases = pytest.mark.parametrize("name", CASES)


def make(name, dtype="float64", bias=True):
    shape, filters, kernel, padding = CASES[name]
    rng = np.random.default_rng(7)
    conv = Conv2d(shape[1], filters, kernel, padding=padding, bias=bias, rng=rng, dtype=dtype)
    return conv, rng.standard_normal(shape).astype(dtype), lambda y: rng.standard_normal(y.shape).astype(dtype)


@all_cases
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("bias", [True, False])
def test_it_equals_the_plain_layer(name, dtype, bias):
    require()
    conv, x, dy = make(name, dtype, bias)
    before = x.copy()
    expected = run([conv], x, dy)
    conv, x, dy = make(name, dtype, bias)
    assert_equal(run([FastConv2d(conv, 1)], x, dy), expected, TOLERANCES[dtype])
    assert np.array_equal(x, before)


@all_cases
def test_bits_do_not_depend_on_threads_or_memory_order(name):
    require()
    conv, x, dy = make(name, "float32")
    dy = dy(conv.forward(x)[0])
    expected = run([FastConv2d(conv, 1)], x, dy)
    innermost = np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    for threads, order in ((2, x), (3, innermost), (1, np.repeat(x, 2, axis=3)[..., ::2])):
        assert_same_bits(run([FastConv2d(conv, threads)], order, dy), expected)


def test_the_input_gradient_can_be_left_out():
    require()
    conv, x, dy = make("3x3")
    assert run([FastConv2d(conv, 1, input_gradient=False)], x, dy)["dx"] is None


def test_parameters_are_shared_and_a_wrong_input_or_gradient_is_refused():
    require()
    conv, x, _ = make("3x3")
    fast = FastConv2d(conv, 1)
    assert fast.params is conv.params
    y, cache = fast.forward(x)
    with pytest.raises(ValueError, match="Conv2d"):
        fast.forward(x[:, :2])
    with pytest.raises(ValueError, match="at least 3 by 3 pixels"):
        fast.forward(x[:, :, :2])
    with pytest.raises(TypeError, match="Conv2d"):
        fast.forward(x.astype("float32"))
    with pytest.raises(ValueError, match="expected an array of shape"):
        fast.backward(y[:, :1], cache)
