"""What all layers share: the checks of dtype and shape, and their messages."""

import re

import numpy as np
import pytest

from synann_np.layers import Conv2d, Linear, MaxPool2d, ReLU
from synann_np.layers.base import pair


def test_repr_is_the_call_that_made_the_layer():
    assert repr(Linear(3, 5)) == "Linear(in_features=3, out_features=5, bias=True)"
    assert (
        repr(MaxPool2d((2, 3))) == "MaxPool2d(kernel_size=(2, 3), stride=None, padding=0, dilation=1, ceil_mode=False)"
    )
    assert repr(ReLU()) == "ReLU()"


def test_a_wrong_shape_is_named_with_the_layer_and_what_it_expects():
    message = "Linear(in_features=3, out_features=5, bias=True): expected input (N, ..., 3), got (2, 4)"
    with pytest.raises(ValueError, match=re.escape(message)):
        Linear(3, 5).forward(np.zeros((2, 4), "float32"))


def test_a_wrong_number_of_axes_is_refused():
    with pytest.raises(ValueError, match=re.escape("expected input (N, 1, H, W), got (1, 28, 28)")):
        Conv2d(1, 10, 5).forward(np.zeros((1, 28, 28), "float32"))


@pytest.mark.parametrize(("weights", "x"), [("float32", "float64"), ("float64", "float32"), ("float32", "uint8")])
def test_input_of_another_dtype_than_the_weights_is_refused(weights, x):
    with pytest.raises(TypeError, match=f"expected {weights} input, like the weights, got {x}"):
        Linear(3, 5, dtype=weights).forward(np.zeros((2, 3), x))


@pytest.mark.parametrize("dtype", ["float16", "int32", "complex128"])
def test_weights_of_another_dtype_than_float32_and_float64_are_refused(dtype):
    with pytest.raises(ValueError, match=f"expected dtype float32 or float64, got {dtype}"):
        Linear(3, 5, dtype=dtype)


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="torch"):
        Linear(3, 5, backend="torch")


def test_two_layers_do_not_share_their_dicts():
    a, b = ReLU(), ReLU()
    a.params["weight"] = np.ones(1)
    a.buffers["count"] = np.ones(1)
    assert b.params == {}
    assert b.buffers == {}


def test_pair_doubles_a_number_and_keeps_a_pair():
    assert pair(3) == (3, 3)
    assert pair((3, 5)) == (3, 5)
    assert pair([3, 5]) == (3, 5)
