"""SynapseRNN in C against the plain layer."""

import numpy as np
import pytest

from fast.loops.compiled import TOLERANCES, assert_equal, assert_same_bits, require, run
from synann_np.fast.loops.synapse_rnn import FastSynapseRNN
from synann_np.layers import SynapseRNN

SIZES = [(1, 1, 1, 1), (3, 4, 2, 5), (9, 5, 3, 17), (21, 3, 4, 64)]  # N, T, input_size, H
KINDS = {
    "logistic": {},
    "all states": {"return_sequences": True},
    "truncated": {"return_sequences": True, "truncate": 2},
    "without a leak": {"leak": False, "truncate": 3},
    "surprisal": {"parametrisation": "surprisal"},
    "gains": {"gain": 3.0, "beta_gain": 2.0, "return_sequences": True},
    "fixed alpha": {"train_alpha": False, "return_sequences": True},
}


def make(size, dtype="float64", seed=3, **options):
    N, T, D, H = size
    rng = np.random.default_rng(seed)
    layer = SynapseRNN(D, H, rng=rng, dtype=dtype, **options)
    for a in layer.params.values():
        a += rng.standard_normal(a.shape)
    for name in {"alpha", "theta"} & layer.params.keys():  # alpha of 1 or less: then no state is above 1
        layer.params[name][...] = rng.uniform(0.3, 1, H)
    x = rng.standard_normal((N, T, D)).astype(dtype)
    shape = (N, T, H) if layer.return_sequences else (N, H)
    return layer, x, rng.standard_normal(shape).astype(dtype)


def fast(layer, threads=1):
    require()
    return FastSynapseRNN(layer, threads)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_it_equals_the_plain_layer(kind, size, dtype):
    layer, x, dy = make(size, dtype, **KINDS[kind])
    before = x.copy()
    _, cache = fast(layer).forward(x)
    assert cache[0] is not None  # the loops ran
    assert_equal(run([fast(layer)], x, dy), run([layer], x, dy), 10 * TOLERANCES[dtype])
    assert np.array_equal(x, before)


def test_bits_do_not_depend_on_threads():
    layer, x, dy = make((45, 4, 3, 10), "float32", return_sequences=True)
    results = [run([fast(layer, threads)], x, dy) for threads in (1, 2, 3)]
    assert_same_bits(results[1], results[0])
    assert_same_bits(results[2], results[0])


@pytest.mark.parametrize("beta", [1.0, 1.5, -3.0])
def test_where_a_factor_may_be_0_it_runs_over_the_total_graph(beta):
    layer, x, dy = make((6, 3, 2, 5), parametrisation="free", leak=False)
    layer.params["alpha"][...] = 2
    layer.params["beta"][...] = beta
    _, (steps, _) = fast(layer).forward(x)
    assert steps is None
    assert_equal(run([fast(layer)], x, dy), run([layer], x, dy), 1e-12)


def test_a_nan_reaches_the_output_of_its_row_alone():
    layer, x, _ = make((6, 3, 2, 5))
    x[2, 1, 0] = np.nan
    y, _ = fast(layer).forward(x)
    assert np.isnan(y[2]).all()
    assert np.isfinite(np.delete(y, 2, axis=0)).all()


def test_products_that_underflow_are_0_and_leave_finite_gradients():
    layer, x, dy = make((3, 6, 2, 700), parametrisation="free", leak=False)
    layer.params["beta"][...] = 0.999
    layer.params["bias"][...] = 20
    assert_equal(run([fast(layer)], x, dy), run([layer], x, dy), 1e-12)


def test_an_array_that_is_replaced_counts_from_the_next_call_on():
    layer, x, dy = make((4, 3, 2, 5))
    twin = fast(layer)
    run([twin], x, dy)
    layer.params["leak_logit"] = layer.params["leak_logit"] - 1
    layer.params["beta_logit"] = layer.params["beta_logit"] + 1
    assert_equal(run([twin], x, dy), run([layer], x, dy), 1e-12)


def test_x_in_any_memory_order_and_without_rows():
    layer, x, dy = make((4, 3, 2, 5))
    expected = run([fast(layer)], x, dy)
    assert_same_bits(run([fast(layer)], np.asfortranarray(x), np.asfortranarray(dy)), expected)
    y, cache = fast(layer).forward(x[:0])
    assert y.shape == (0, 5)
    fast(layer).backward(y, cache)
    with pytest.raises(ValueError, match="expected one step or more"):
        fast(layer).forward(x[:, :0])
