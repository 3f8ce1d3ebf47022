"""The synapse graph in C: any α, β, x and v, n ≠ m, against the plain formula."""

import numpy as np
import pytest

from fast.loops.compiled import assert_equal, assert_same_bits, fast_graph, require
from synann_np.fast.loops.synapse_graph import synapse_graph_backward, synapse_graph_forward
from synann_np.layers import Synapse, SynapseGraph, SynapseRNN, SynapseTensor
from synann_np.layers.synapse import synapse_graph_backward as plain_backward
from synann_np.layers.synapse import synapse_graph_forward as plain_forward

SIZES = [(1, 1, 1), (3, 2, 5), (7, 13, 10), (9, 64, 33), (5, 4, 100)]  # N, n, m


def as_initial(rng, N, n, m):
    return rng.random((N, m)), rng.uniform(-1, 1, (n, m)) / m**0.5


def softmax_rows(rng, N, n, m):
    v = np.exp(rng.standard_normal((N, m)))
    return v / v.sum(axis=1, keepdims=True), rng.uniform(0, 1, (n, m))


def constant(rng, N, n, m):
    return np.full((N, m), 1 / m), np.full((n, m), 0.05)


def large_beta(rng, N, n, m):
    return rng.random((N, m)), rng.uniform(0, 3, (n, m))


def some_factors_zero(rng, N, n, m):
    v, beta = rng.random((N, m)), rng.uniform(-1, 1, (n, m))
    v[rng.random((N, m)) < 0.2] = 0.5
    beta[rng.random((n, m)) < 0.2] = 2
    return v, beta


def one_factor_zero(rng, N, n, m):
    v, beta = rng.random((N, m)), rng.uniform(-1, 1, (n, m))
    v[:, 0], beta[:, 0] = 0.5, 2
    return v, beta


def outside(rng, N, n, m):
    return 2 * rng.standard_normal((N, m)), rng.uniform(-1, 1, (n, m))


def nearly_zero(rng, N, n, m):
    """q = 2⁻²³ here and there, and 2⁻⁴⁶ in one column: in float32 the product of four of these is 0."""
    v, beta = np.full((N, m), 1.0), np.where(rng.random((n, m)) < 0.1, 1 - 2.0**-23, 0.1)
    v[:, 0], beta[:, 0] = 1 - 2.0**-23, 1 + 2.0**-23
    return v, beta


def huge_factors(rng, N, n, m):
    """q = 2³⁶ in one column: in float32 the product of four of these overflows."""
    v, beta = rng.random((N, m)), rng.uniform(-1, 1, (n, m))
    v[:, 0], beta[:, 0] = 1, -(2.0**36)
    return v, beta


def small_products(rng, N, n, m):
    return rng.uniform(0.5, 1, (N, m)), rng.uniform(-0.2, 1, (n, m)) / max(m, 512)


def columns_of_all_sizes(rng, N, n, m):
    """β v at most 1e-4, 1e-2, 0.9 and 3 in turn, eight columns each: the loops divide differently in each of them."""
    return rng.random((N, m)), rng.uniform(-1, 1, (n, m)) * np.resize(np.repeat([1e-4, 1e-2, 0.9, 3], 8), m)


WORLDS = [
    columns_of_all_sizes,
    small_products,
    as_initial,
    softmax_rows,
    constant,
    large_beta,
    some_factors_zero,
    one_factor_zero,
    outside,
    nearly_zero,
    huge_factors,
]
every_world = pytest.mark.parametrize("world", WORLDS)


def arrays(world, N, n, m, dtype):
    rng = np.random.default_rng(N + n + m)
    v, beta = world(rng, N, n, m)
    x, alpha, dy = rng.random((N, n)), rng.uniform(0.5, 1.5, n), rng.standard_normal((N, n))
    return [a.astype(dtype) for a in (x, v, alpha, beta)], dy.astype(dtype)


def evaluate(forward, backward, inputs, dy, **options):
    y, cache = forward(*inputs, **options)
    return dict(zip(("y", "dx", "dv", "dalpha", "dbeta"), (y, *backward(dy, cache, **options)), strict=True))


@every_world
@pytest.mark.parametrize("size", SIZES)
def test_in_float64_it_equals_the_plain_formula(world, size):
    require()
    inputs, dy = arrays(world, *size, "float64")
    fast = evaluate(synapse_graph_forward, synapse_graph_backward, inputs, dy, threads=1)
    expected = evaluate(plain_forward, plain_backward, inputs, dy)
    for name, b in expected.items():
        assert np.abs(fast[name] - b).max() <= 1e-12 * np.abs(b).max(), name


@every_world
@pytest.mark.parametrize("size", SIZES)
def test_in_float32_it_is_within_1e_5_of_float64(world, size):
    require()
    inputs, dy = arrays(world, *size, "float32")
    fast = evaluate(synapse_graph_forward, synapse_graph_backward, inputs, dy, threads=2)
    wide = [a.astype("float64") for a in inputs]
    for name, b in evaluate(plain_forward, plain_backward, wide, dy.astype("float64")).items():
        assert fast[name].dtype == np.float32
        assert np.abs(fast[name] - b).max() <= 1e-5 * np.abs(b).max() + np.finfo("float32").tiny, name


@every_world
def test_bits_do_not_depend_on_threads(world):
    require()
    inputs, dy = arrays(world, 9, 64, 33, "float32")
    results = [evaluate(synapse_graph_forward, synapse_graph_backward, inputs, dy, threads=t) for t in (1, 2, 3)]
    assert_same_bits(results[1], results[0])
    assert_same_bits(results[2], results[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("largest", [1e3, 1e10, 1e15, 3e38])
def test_everything_is_finite_for_any_finite_beta(largest, dtype):
    require()
    rng = np.random.default_rng(0)
    beta = (rng.uniform(-1, 1, (70, 70)) * largest).astype(dtype)
    x = rng.random((6, 70)).astype(dtype)
    x[0], x[1, ::2], x[2] = 0, 1, 1
    dy = rng.standard_normal((6, 70)).astype(dtype)
    inputs = (x, x, np.ones(70, dtype), beta)
    for name, a in evaluate(synapse_graph_forward, synapse_graph_backward, inputs, dy, threads=2).items():
        assert np.isfinite(a).all(), name


def test_a_gradient_that_overflows_in_one_row_leaves_those_of_the_others_as_they_are():
    require()
    inputs, dy = arrays(as_initial, 9, 64, 33, "float32")
    inputs[2][3] = 4
    dy[2, 3] = 3e38
    fast = evaluate(synapse_graph_forward, synapse_graph_backward, inputs, dy, threads=1)
    with np.errstate(over="ignore"):
        expected = evaluate(plain_forward, plain_backward, inputs, dy)
    rows, units = np.arange(9) != 2, np.arange(64) != 3
    for name, kept in (("dx", rows), ("dv", rows), ("dbeta", units)):
        a, b = fast[name][kept], expected[name][kept]
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max(), name


def test_a_product_that_underflows_on_its_way_is_not_lost():
    """200 factors of 1e-4 and 200 of 1e4: their product is 1, though in float64 the first half alone is 1e-800."""
    require()
    beta = np.concatenate([np.full(200, 1 - 1e-4), np.full(200, 1 - 1e4)])[None]
    y, _ = synapse_graph_forward(np.ones((1, 1)), np.ones((1, 400)), np.ones(1), beta, threads=1)
    assert abs(y[0, 0] - 1) < 1e-9


def test_tiny_gradients_do_not_become_nan():
    require()
    inputs, dy = arrays(as_initial, 5, 8, 8, "float32")
    results = evaluate(synapse_graph_forward, synapse_graph_backward, inputs, dy * np.float32(1e-30), threads=1)
    with np.errstate(under="ignore"):
        scaled = evaluate(synapse_graph_forward, synapse_graph_backward, inputs, dy, threads=1)
        for name in ("dx", "dv", "dalpha", "dbeta"):
            np.testing.assert_allclose(results[name] * 1e30, scaled[name], rtol=1e-5, atol=1e-6)


def test_an_empty_batch_and_arrays_in_any_order():
    require()
    inputs, dy = arrays(as_initial, 6, 8, 5, "float32")
    expected = evaluate(synapse_graph_forward, synapse_graph_backward, inputs, dy, threads=1)
    others = [np.asfortranarray(a) for a in inputs]
    strided = np.repeat(dy, 2, axis=0)[::2]
    assert_same_bits(evaluate(synapse_graph_forward, synapse_graph_backward, others, strided, threads=1), expected)
    empty = [inputs[0][:0], inputs[1][:0], *inputs[2:]]
    result = evaluate(synapse_graph_forward, synapse_graph_backward, empty, dy[:0], threads=2)
    assert result["y"].shape == (0, 8)
    assert not result["dbeta"].any()
    with pytest.raises(ValueError, match="expected an array of shape"):
        synapse_graph_forward(*inputs[:3], inputs[3].T, threads=1)


LAYERS = {
    "synapse": lambda rng: Synapse(6, rng=rng, dtype="float64"),
    "logistic": lambda rng: Synapse(6, "logistic", rng=rng, dtype="float64"),
    "surprisal, fixed theta": lambda rng: Synapse(6, "surprisal", train_alpha=False, rng=rng, dtype="float64"),
    "tensor": lambda rng: SynapseTensor(6, (4, 3), rng=rng, dtype="float64"),
    "recurrent": lambda rng: SynapseRNN(6, 5, return_sequences=True, rng=rng, dtype="float64"),
    "recurrent, cut": lambda rng: SynapseRNN(6, 5, truncate=2, leak=False, rng=rng, dtype="float64"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_over_the_fast_graph_equal_the_plain_ones_and_share_their_arrays(name):
    rng = np.random.default_rng(1)
    layer = LAYERS[name](rng)
    fast = fast_graph(layer, 2)
    assert type(fast) is type(layer)
    x = rng.random((4, 7, 6) if "recurrent" in name else (4, 6))
    dy = rng.standard_normal(layer.forward(x)[0].shape)
    for changed in (False, True):
        if changed:  # in place, and replaced: both must be seen
            for key in layer.params:
                layer.params[key] = layer.params[key] * 0.9
            assert all(fast.params[key] is p for key, p in layer.params.items())
        results = []
        for one in (layer, fast):
            y, cache = one.forward(x)
            dx, grads = one.backward(dy, cache)
            results.append({"y": y, "dx": dx, **grads})
        assert_equal(results[1], results[0], 1e-12)
    assert "graph_forward" not in vars(layer)


def test_a_graph_with_separate_inhibition():
    rng = np.random.default_rng(2)
    graph = SynapseGraph(3, 5, rng=rng, dtype="float64")
    x, v, dy = rng.random((4, 3)), rng.random((4, 5)), rng.standard_normal((4, 3))
    results = []
    for one in (graph, fast_graph(graph)):
        y, cache = one.forward(x, v)
        (dx, dv), grads = one.backward(dy, cache)
        results.append({"y": y, "dx": dx, "dv": dv, **grads})
    assert_equal(results[1], results[0], 1e-13)
