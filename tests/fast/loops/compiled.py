"""The layers in C, for tests: skipped where there is no C compiler; and the comparison with the plain layers."""

import numpy as np
import pytest

from synann_np.fast.loops.compiler import find_compiler
from synann_np.fast.loops.conv_pool_relu import ConvPoolReLU
from synann_np.fast.loops.synapse_graph import with_fast_graph

TOLERANCES = {"float32": 1e-5, "float64": 1e-13}


def require():
    """Skip the test where nothing can be compiled."""
    if find_compiler() is None:
        pytest.skip("no C compiler: the loops in C cannot be tested")


def conv_pool_relu(conv, dropout=None, threads=1, input_gradient=True):
    """ConvPoolReLU with this convolution."""
    require()
    return ConvPoolReLU(conv, dropout, threads, input_gradient)


def fast_graph(layer, threads=1):
    """The synapse layer over the graph in C."""
    require()
    return with_fast_graph(layer, threads)


def run(layers, x, dy, train=False, step=0):
    """Forward and backward of layers in a row: dict of y, dx and all gradients. dy: array, or a function of y."""
    caches, results = [], {}
    for layer in layers:
        x, cache = layer.forward(x, train, step) if layer.draws_masks else layer.forward(x, train)
        caches.append(cache)
    results["y"] = x
    dy = dy(x) if callable(dy) else dy
    for layer, cache in zip(reversed(layers), reversed(caches), strict=True):
        dy, grads = layer.backward(dy, cache)
        results |= grads
    return results | {"dx": dy}


def assert_equal(results, expected, tolerance):
    """Equal names, shapes, dtypes, and values up to `tolerance` of the largest, or of 1."""
    assert results.keys() == expected.keys()
    for name, b in expected.items():
        a = results[name]
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        assert np.abs(a - b).max(initial=0) <= tolerance * max(1, np.abs(b).max(initial=0)), name


def assert_same_bits(results, expected):
    """All arrays equal to the bit."""
    assert results.keys() == expected.keys()
    for name in expected:
        assert np.array_equal(results[name], expected[name]), name
