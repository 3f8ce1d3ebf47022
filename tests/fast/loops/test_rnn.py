"""RNN in C against the plain layer."""

import numpy as np
import pytest

from fast.loops.compiled import TOLERANCES, assert_equal, assert_same_bits, require, run
from synann_np.fast.loops.rnn import FastRNN
from synann_np.layers import RNN

SIZES = [(1, 1, 1, 1), (3, 4, 2, 5), (9, 5, 3, 17), (20, 3, 4, 64)]  # N, T, input_size, H
KINDS = {
    "last state": {},
    "all states": {"return_sequences": True},
    "truncated": {"return_sequences": True, "truncate": 2},
    "last state, truncated": {"truncate": 3},
}


def make(size, dtype="float64", **options):
    N, T, D, H = size
    rng = np.random.default_rng(3)
    layer = RNN(D, H, rng=rng, dtype=dtype, **options)
    x = rng.standard_normal((N, T, D)).astype(dtype)
    shape = (N, T, H) if layer.return_sequences else (N, H)
    return layer, x, rng.standard_normal(shape).astype(dtype)


def fast(layer, threads=1):
    require()
    return FastRNN(layer, threads)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_it_equals_the_plain_layer(kind, size, dtype):
    layer, x, dy = make(size, dtype, **KINDS[kind])
    before = x.copy()
    assert_equal(run([fast(layer)], x, dy), run([layer], x, dy), TOLERANCES[dtype])
    assert np.array_equal(x, before)


def test_bits_do_not_depend_on_threads():
    layer, x, dy = make((45, 4, 3, 10), "float32", return_sequences=True)
    results = [run([fast(layer, threads)], x, dy) for threads in (1, 2, 3)]
    assert_same_bits(results[1], results[0])
    assert_same_bits(results[2], results[0])


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_the_hyperbolic_tangent_is_right_to_a_few_units_in_the_last_place(dtype):
    layer = RNN(1, 1, dtype=dtype)
    for p in layer.params.values():
        p[...] = 0
    layer.params["weight_ih_l0"][...] = 1
    sizes = np.concatenate([np.logspace(-30, 2, 3000), np.linspace(0, 45, 3000)])
    x = np.concatenate([-sizes, sizes, [np.inf, -np.inf]]).astype(dtype)
    y, _ = fast(layer).forward(x[:, None, None])
    exact = np.tanh(x.astype(np.longdouble))
    assert (np.abs(y[:, 0] - exact) <= 4 * np.finfo(dtype).eps * np.abs(exact)).all()


def test_a_nan_reaches_the_output_of_its_row_alone():
    layer, x, _ = make((8, 3, 2, 5))
    x[2, 1, 0] = np.nan
    y, _ = fast(layer).forward(x)
    assert np.isnan(y[2]).all()
    assert np.isfinite(np.delete(y, 2, axis=0)).all()


def test_an_array_that_is_replaced_counts_from_the_next_call_on():
    layer, x, dy = make((4, 3, 2, 5))
    twin = fast(layer)
    run([twin], x, dy)
    layer.params["weight_hh_l0"] = layer.params["weight_hh_l0"] + 0.1
    assert_equal(run([twin], x, dy), run([layer], x, dy), 1e-13)


def test_x_in_any_memory_order_and_without_rows():
    layer, x, dy = make((4, 3, 2, 5))
    expected = run([fast(layer)], x, dy)
    assert_same_bits(run([fast(layer)], np.asfortranarray(x), np.asfortranarray(dy)), expected)
    y, cache = fast(layer).forward(x[:0])
    assert y.shape == (0, 5)
    fast(layer).backward(y, cache)
    with pytest.raises(ValueError, match="expected one step or more"):
        fast(layer).forward(x[:, :0])
    with pytest.raises(ValueError, match="dy"):
        fast(layer).backward(dy[:2], fast(layer).forward(x)[1])
