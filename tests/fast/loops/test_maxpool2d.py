"""Pooling in C against the plain layer: equal to the bit."""

import numpy as np
import pytest

from fast.loops.compiled import assert_same_bits, require, run
from synann_np.fast.loops.maxpool2d import FastMaxPool2d
from synann_np.layers import MaxPool2d


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "kernel"),
    [((3, 4, 8, 6), 2), ((5, 2, 7, 9), 2), ((2, 3, 7, 8), (3, 2)), ((1, 1, 1, 1), 1), ((4, 2, 5, 5), 5)],
)
def test_it_equals_the_plain_layer(shape, kernel, dtype):
    require()
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, shape).astype(dtype)  # many ties
    pool = MaxPool2d(kernel)
    dy = rng.standard_normal(pool.forward(x)[0].shape).astype(dtype)
    for threads in (1, 2):
        assert_same_bits(run([FastMaxPool2d(pool, threads)], x, dy), run([pool], x, dy))


def test_a_nan_is_not_hidden():
    require()
    for place in range(4):
        x = np.arange(4, dtype="float32").reshape(1, 1, 2, 2)
        x.reshape(-1)[place] = np.nan
        y, cache = FastMaxPool2d(MaxPool2d(2), 1).forward(x)
        assert np.isnan(y).all()
        dx, _ = FastMaxPool2d(MaxPool2d(2), 1).backward(np.ones((1, 1, 1, 1), "float32"), cache)
        assert dx.reshape(-1).tolist() == [float(k == place) for k in range(4)]


def test_images_smaller_than_a_window_and_a_wrong_gradient_are_refused():
    require()
    pool = FastMaxPool2d(MaxPool2d(3), 1)
    with pytest.raises(ValueError, match="at least one window"):
        pool.forward(np.zeros((1, 1, 2, 3)))
    _, cache = pool.forward(np.zeros((1, 1, 3, 3)))
    with pytest.raises(ValueError, match="expected an array of shape"):
        pool.backward(np.zeros((1, 1, 3, 3)), cache)
