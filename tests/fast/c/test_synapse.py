"""All factors of the synapse by loops in C, against the plain layer in float64."""

import numpy as np
import pytest

from fast.c.compiled import compiled_synapse, require
from fast.test_synapse import CASES, build, compare_with_formula, in_float64, small_beta, softmax_rows
from synann_np.fast.fuse import fast_synapse
from synann_np.fast.loops import synapse as c_synapse
from synann_np.gradcheck import check_layer
from synann_np.layers import Synapse

NOT_FOR_THE_LOOPS = {
    "some factors that are zero",
    "some factors below zero",
    "factors of any sign",
    "factors that are zero",
    "x beyond 0 and 1",
    "x beyond 0 and 1, wide beta",
}


def by_loops(compiled, x):
    _, cache = compiled.forward(x)
    return cache[0] is compiled


@pytest.mark.parametrize(("N", "n"), [(1, 1), (3, 2), (1, 5), (13, 33), (40, 64), (150, 31), (5, 130)])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-12)])
def test_values_and_gradients_equal_the_formula(name, N, n, dtype, tolerance):
    x_of, beta_of, _ = CASES[name]
    layer, x, dy = build(x_of, beta_of, N, n, dtype)
    compiled = compiled_synapse(layer)
    other = 1e-5 if dtype == "float32" else tolerance  # of what is asked instead
    compare_with_formula(compiled, layer, x, dy, lambda cache: tolerance if cache[0] is compiled else other)


@pytest.mark.parametrize("name", CASES)
def test_the_loops_do_what_they_hold_and_leave_the_rest(name):
    x_of, beta_of, _ = CASES[name]
    layer, x, _ = build(x_of, beta_of, 40, 64, "float32")
    assert by_loops(compiled_synapse(layer), x) == (name not in NOT_FOR_THE_LOOPS)


@pytest.mark.parametrize(
    ("x", "beta", "held"),
    [
        (1.0, 1 - 2.0**-20, True),
        (1.0, 1 - 2.0**-21, False),
        (0.5, 1.9, True),
        (0.5, 2.0, False),
        (1.0, -590.0, True),
        (1.0, -601.0, False),  # with others, a product might leave float64
        (0.0, -(2.0**20), True),
        (0.0, 2.0**21, False),
        (0.0, -(2.0**21), False),
        (-1e-9, 0.5, False),
        (5.0, 0.1, True),
        (float("nan"), 0.5, False),
        (0.5, float("nan"), False),
    ],
)
def test_the_conditions_are_those_that_are_written(x, beta, held):
    layer = Synapse(2)
    layer.params["beta"][...] = [[0.1, beta], [0.1, 0.1]]
    with np.errstate(invalid="ignore"):
        assert by_loops(compiled_synapse(layer), np.array([[0.5, x], [0.5, 0.0]], "float32")) == held


@pytest.mark.parametrize("beta", [0.01, -0.03])
def test_equal_roundings_of_all_factors_do_not_add_up(beta):
    """In float32 they would: n times the rounding of one factor."""
    layer, x, dy = build(lambda rng, N, n: np.ones((N, n)), lambda rng, n: np.full((n, n), beta), 2, 1024, "float32")
    compiled = compiled_synapse(layer)
    assert by_loops(compiled, x)
    y, _ = compiled.forward(x)
    assert np.abs(y / in_float64(layer, x, dy)[0] - 1).max() < 3e-7


def test_a_product_saturates_where_that_of_the_plain_layer_does():
    layer, x, dy = build(lambda rng, N, n: np.ones((N, n)), lambda rng, n: np.full((n, n), -0.9), 2, 100, "float32")
    compiled = compiled_synapse(layer)
    assert by_loops(compiled, x)
    y, cache = compiled.forward(x)
    assert np.allclose(y, layer.forward(x)[0], rtol=1e-4)
    dx, grads = compiled.backward(dy, cache)
    assert all(np.isfinite(a).all() for a in (dx, *grads.values()))


def test_a_product_that_underflows_is_zero_and_harms_nothing():
    layer, x, dy = build(lambda rng, N, n: np.ones((N, n)), lambda rng, n: np.full((n, n), 0.9), 3, 700, "float32")
    layer.params["beta"][1:] *= 0.01
    compiled = compiled_synapse(layer)
    y, cache = compiled.forward(x)
    dx, grads = compiled.backward(dy, cache)
    y_true, dx_true, grads_true = in_float64(layer, x, dy)
    assert (y[:, 0] == 0).all()
    for computed, true in ((y, y_true), (dx, dx_true), (grads["beta"], grads_true["beta"])):
        assert np.abs(computed - true).max() <= 2e-6 * np.abs(true).max()


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e-39), ("float32", 1e-30), ("float64", 1e-310)])
def test_gradients_next_to_the_smallest_numbers_are_finite_and_right(dtype, size):
    layer, x, dy = build(softmax_rows, small_beta, 6, 8, dtype)
    compiled = compiled_synapse(layer)
    with np.errstate(under="ignore"):
        dy = (size * dy).astype(dtype)
        _, cache = compiled.forward(x)
        assert cache[0] is compiled
        dx, grads = compiled.backward(dy, cache)
        dx_plain, grads_plain = layer.backward(dy, layer.forward(x)[1])
        step = float(np.finfo(dtype).smallest_subnormal)
        for computed, true in ((dx, dx_plain), (grads["beta"], grads_plain["beta"])):
            assert np.abs(computed - true).max() <= 1e-5 * np.abs(true).max() + 20 * step


def test_what_the_loops_get_has_the_shape_and_dtype_that_they_take_for_granted():
    layer, x, dy = build(softmax_rows, small_beta, 6, 8, "float32")
    compiled = compiled_synapse(layer)
    _, cache = compiled.forward(x)
    dx, grads = compiled.backward(dy, cache)
    dx_2, _ = compiled.backward(dy[:, :1], cache)  # is broadcast, as by the plain layer
    assert np.allclose(dx_2, layer.backward(dy[:, :1], layer.forward(x)[1])[0], rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="broadcast"):
        compiled.backward(dy[:3], cache)
    for name in ("alpha", "beta"):
        layer.params[name] = layer.params[name].astype("float64")
    _, cache = compiled.forward(x)
    dx_2, grads_2 = compiled.backward(dy, cache)
    assert np.array_equal(dx, dx_2)
    assert np.array_equal(grads["beta"], grads_2["beta"])
    layer.params["beta"] = layer.params["beta"][:4]
    with pytest.raises(ValueError, match="broadcast"):
        compiled.forward(x)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing_but_roundings_and_repeat_the_same_bits(threads, monkeypatch):
    layer, x, dy = build(softmax_rows, small_beta, 50, 40, "float32")
    alone, together = compiled_synapse(layer), compiled_synapse(layer, threads)
    assert len(together.parts(x)) == 1  # so small that a start would cost more
    monkeypatch.setattr(c_synapse, "FACTORS_A_THREAD", 1000)
    assert len(together.parts(x)) == threads

    def work(compiled):
        y, cache = compiled.forward(x)
        dx, grads = compiled.backward(dy, cache)
        return [y, dx, grads["alpha"], grads["beta"]]

    expected, first, second = work(alone), work(together), work(together)
    for a, b, c in zip(expected, first, second, strict=True):
        assert np.abs(a - b).max() <= 1e-6 * np.abs(a).max()
        assert np.array_equal(b, c)


def test_all_rows_are_left_to_the_other_ways_if_one_part_is_not_held(monkeypatch):
    layer, x, _ = build(softmax_rows, small_beta, 50, 40, "float32")
    x[-1, 0] = -0.1
    compiled = compiled_synapse(layer, 2)
    monkeypatch.setattr(c_synapse, "FACTORS_A_THREAD", 1000)
    assert not by_loops(compiled, x)


def test_backward_equals_numeric_gradients():
    x_of, beta_of, _ = CASES["beta between -0.999 and 0.999"]
    layer, x, _ = build(x_of, beta_of, 3, 6, "float64")
    compiled = compiled_synapse(layer)
    compiled.backend = layer.backend
    x = np.clip(x, 0.05, 0.95)
    assert by_loops(compiled, x)
    check_layer(compiled, x, np.random.default_rng(0))


def test_arrays_may_lie_in_memory_in_any_way():
    layer, x, dy = build(softmax_rows, small_beta, 12, 40, "float32")
    compiled = compiled_synapse(layer)
    y, cache = compiled.forward(x)
    dx, grads = compiled.backward(dy, cache)
    y_2, cache_2 = compiled.forward(np.asfortranarray(x))
    dx_2, grads_2 = compiled.backward(np.repeat(dy, 2, axis=1)[:, ::2], cache_2)
    for a, b in ((y, y_2), (dx, dx_2), (grads["beta"], grads_2["beta"])):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("train_alpha", [True, False])
@pytest.mark.parametrize("parametrisation", ["logistic", "surprisal"])
def test_every_parametrisation_has_the_gradients_of_the_plain_layer(parametrisation, train_alpha):
    rng = np.random.default_rng(8)
    layer = Synapse(30, parametrisation, train_alpha, rng=rng, dtype="float64")
    x, dy = rng.random((9, 30)), rng.standard_normal((9, 30))
    compiled = compiled_synapse(layer)
    assert by_loops(compiled, x)
    y, cache = compiled.forward(x)
    dx, grads = compiled.backward(dy, cache)
    expected, cache = layer.forward(x)
    expected_dx, expected_grads = layer.backward(dy, cache)
    assert grads.keys() == layer.params.keys()
    for computed, true in ((y, expected), (dx, expected_dx), *((grads[k], g) for k, g in expected_grads.items())):
        assert np.abs(computed - true).max() <= 1e-12 * np.abs(true).max()


def test_a_wrong_width_is_refused():
    with pytest.raises(ValueError, match="Synapse"):
        compiled_synapse(Synapse(4)).forward(np.zeros((2, 5), "float32"))


@pytest.mark.parametrize(("n", "quick"), [(64, False), (256, True)])
def test_a_wide_layer_whose_series_is_short_takes_the_series(n, quick):
    require()
    layer, x, _ = build(softmax_rows, small_beta, 10, n, "float32")
    assert by_loops(fast_synapse(layer), x) != quick
