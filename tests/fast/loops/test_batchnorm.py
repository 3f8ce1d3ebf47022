"""Batch-norm in C against the plain layer, with and without relu."""

import numpy as np
import pytest

from fast.loops.compiled import TOLERANCES, assert_equal, assert_same_bits, require, run
from synann_np.fast.loops.batchnorm import FastBatchNorm
from synann_np.layers import BatchNorm1d, BatchNorm2d, ReLU

SHAPES = {
    "rows": (7, 5),
    "many rows": (700, 19),
    "sequences": (4, 3, 6),
    "images": (6, 5, 4, 7),
    "long": (40, 3, 9, 9),
}


def make(shape, dtype):
    rng = np.random.default_rng(4)
    norm = (BatchNorm2d if len(shape) == 4 else BatchNorm1d)(shape[1], dtype=dtype)
    for a in (*norm.params.values(), norm.buffers["running_mean"]):
        a[...] = rng.standard_normal(shape[1])
    norm.buffers["running_var"][...] = rng.uniform(0.5, 2, shape[1])
    return norm, (3 + rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_it_equals_the_plain_layer_and_its_running_statistics(name, train, relu, dtype):
    require()
    norm, x, dy = make(SHAPES[name], dtype)
    before = x.copy()
    expected = run([norm, ReLU()] if relu else [norm], x, dy, train)
    twin, x, dy = make(SHAPES[name], dtype)
    assert_equal(run([FastBatchNorm(twin, relu, 1)], x, dy, train), expected, 10 * TOLERANCES[dtype])
    assert_equal(twin.buffers, norm.buffers, TOLERANCES[dtype])
    assert np.array_equal(x, before)


@pytest.mark.parametrize("name", SHAPES)
def test_bits_do_not_depend_on_threads(name):
    require()
    results = []
    for threads in (1, 2, 3):
        norm, x, dy = make(SHAPES[name], "float32")
        results.append(run([FastBatchNorm(norm, True, threads)], x, dy, True) | norm.buffers)
    assert_same_bits(results[1], results[0])
    assert_same_bits(results[2], results[0])


def test_a_nan_is_not_hidden_by_relu_and_a_zero_has_no_gradient():
    require()
    norm = BatchNorm1d(1, eps=0.0)
    fast = FastBatchNorm(norm, True, 1)
    y, cache = fast.forward(np.array([[np.nan], [0.0], [1.0]], "float32"))
    assert np.isnan(y[0, 0])
    dx, _ = fast.backward(np.ones((3, 1), "float32"), cache)
    assert dx[1:].ravel().tolist() == [0.0, 1.0]


def test_one_value_a_channel_is_refused_in_training_and_a_wrong_shape_always():
    require()
    fast = FastBatchNorm(BatchNorm1d(4), False, 1)
    with pytest.raises(ValueError, match="more than one value"):
        fast.forward(np.zeros((1, 4), "float32"), True)
    with pytest.raises(ValueError, match="BatchNorm1d"):
        fast.forward(np.zeros((2, 5), "float32"))
    _, cache = fast.forward(np.zeros((3, 4), "float32"), True)
    with pytest.raises(ValueError, match="expected an array of shape"):
        fast.backward(np.zeros((2, 4), "float32"), cache)
