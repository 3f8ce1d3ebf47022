"""The synapse as a series and by blocks, against the plain layer in float64."""

import numpy as np
import pytest

from synann_np.fast.synapse import MOST_TERMS, FastSynapse, plan_series
from synann_np.gradcheck import check_layer
from synann_np.layers import Synapse


def softmax_rows(rng, N, n, sharpness=1.0):
    e = np.exp(sharpness * rng.standard_normal((N, n)))
    return e / e.sum(axis=1, keepdims=True)


def with_exact_ends(rng, N, n):
    """Uniform in [0, 1], a fifth of it exactly 0 or 1."""
    x, which = rng.random((N, n)), rng.random((N, n))
    x[which < 0.1] = 0
    x[which > 0.9] = 1
    return x


def small_beta(rng, n):
    return rng.uniform(-1, 1, (n, n)) / np.sqrt(n)


# name -> (x, beta, how it is computed: number of entries taken out of the series, or None for blocks)
CASES = {
    "softmax rows": (softmax_rows, small_beta, "series"),
    "uniform": (lambda rng, N, n: rng.random((N, n)), small_beta, "series"),
    "zeros and ones": (with_exact_ends, small_beta, "series"),
    "sharp softmax rows, wide beta": (
        lambda rng, N, n: softmax_rows(rng, N, n, 8.0),
        lambda rng, n: rng.uniform(-0.95, 0.95, (n, n)),
        "series with exact entries",
    ),
    "beta up to 0.999": (with_exact_ends, lambda rng, n: rng.uniform(0, 0.999, (n, n)) / 2, "blocks"),
    "one beta of 0.999": (
        with_exact_ends,
        lambda rng, n: np.where(np.eye(n) > 0, 0.999, small_beta(rng, n)),
        "blocks",
    ),
    "factors of any sign": (with_exact_ends, lambda rng, n: rng.uniform(-2, 2, (n, n)), "blocks"),
    "factors that are zero": (with_exact_ends, lambda rng, n: rng.integers(0, 2, (n, n)), "blocks"),
}


def build(x_of, beta_of, N, n, dtype):
    rng = np.random.default_rng(7)
    layer = Synapse(n, rng=rng, dtype=dtype)
    layer.params["alpha"][...] = rng.uniform(0.5, 2, n)
    layer.params["beta"][...] = beta_of(rng, n)
    return layer, x_of(rng, N, n).astype(dtype), rng.standard_normal((N, n)).astype(dtype)


def in_float64(layer, x, dy):
    reference = Synapse(layer.features, dtype="float64")
    for name, p in layer.params.items():
        reference.params[name][...] = p
    y, cache = reference.forward(x.astype("float64"))
    return y, *reference.backward(dy.astype("float64"), cache)


def used(layer, x):
    plan = plan_series(x, layer.coefficients()[1])
    if plan is None:
        return "blocks"
    return "series with exact entries" if len(plan[1][0]) else "series"


@pytest.mark.parametrize(("N", "n"), [(1, 1), (3, 2), (1, 5), (13, 33), (40, 64)])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_values_and_gradients_equal_the_formula(name, N, n, dtype, tolerance):
    x_of, beta_of, _ = CASES[name]
    layer, x, dy = build(x_of, beta_of, N, n, dtype)
    x_before, dy_before = x.copy(), dy.copy()
    fast = FastSynapse(layer)
    y, cache = fast.forward(x)
    dx, grads = fast.backward(dy, cache)
    y_true, dx_true, grads_true = in_float64(layer, x, dy)
    for tensor, computed, true in (
        ("y", y, y_true),
        ("dx", dx, dx_true),
        ("dalpha", grads["alpha"], grads_true["alpha"]),
        ("dbeta", grads["beta"], grads_true["beta"]),
    ):
        assert computed.dtype == dtype, tensor
        assert np.abs(computed - true).max() <= tolerance * np.abs(true).max(), tensor
    assert grads.keys() == layer.params.keys()
    assert np.array_equal(x, x_before)
    assert np.array_equal(dy, dy_before)


@pytest.mark.parametrize("name", CASES)
def test_each_case_takes_the_way_that_it_is_meant_to_test(name):
    x_of, beta_of, way = CASES[name]
    layer, x, _ = build(x_of, beta_of, 40, 64, "float32")
    assert used(layer, x) == way


@pytest.mark.parametrize("r", [1e-3, 0.03, 0.1, 0.2, 0.3])
def test_the_number_of_terms_holds_the_bound_where_it_is_tight(r):
    """All |β x| equal to r and of one sign: nothing averages out."""
    layer, x, _dy = build(lambda rng, N, n: np.ones((N, n)), lambda rng, n: np.full((n, n), r), 4, 64, "float64")
    K, _ = plan_series(x.astype("float32"), layer.params["beta"].astype("float32")) or (None, None)
    assert K is not None
    assert K <= MOST_TERMS
    log_P = -sum(64 * r**k / k for k in range(1, K + 1))
    assert abs(np.expm1(log_P - 64 * np.log1p(-r))) < 2e-6
    assert abs(sum(r**k for k in range(K)) * (1 - r) - 1) < 1e-6


def test_beta_of_zero_and_an_empty_row_sum_are_no_special_case():
    layer, x, dy = build(lambda rng, N, n: np.zeros((N, n)), lambda rng, n: np.zeros((n, n)), 3, 4, "float32")
    y, cache = FastSynapse(layer).forward(x)
    dx, _ = FastSynapse(layer).backward(dy, cache)
    assert not y.any()
    assert np.array_equal(dx, dy * layer.params["alpha"])


@pytest.mark.parametrize("beta", [1.0, 1e3, 1e30, 3e38, -3e38])
def test_every_finite_beta_gives_finite_results(beta):
    rng = np.random.default_rng(3)
    layer = Synapse(40, rng=rng)
    layer.params["beta"][...] = beta * np.sign(rng.standard_normal((40, 40)))
    x = with_exact_ends(rng, 6, 40).astype("float32")
    y, cache = FastSynapse(layer).forward(x)
    dx, grads = FastSynapse(layer).backward(rng.standard_normal((6, 40)).astype("float32"), cache)
    assert all(np.isfinite(a).all() for a in (y, dx, *grads.values()))


def test_nan_is_passed_on_and_not_hidden():
    layer, x, _ = build(softmax_rows, small_beta, 3, 8, "float32")
    x[1, 2] = np.nan
    with np.errstate(invalid="ignore"):
        y, _ = FastSynapse(layer).forward(x)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()


@pytest.mark.parametrize(("beta", "x"), [(12.71227, 0.078664154), (0.1, 9.999999), (1.0, 1 - 2**-24)])
def test_factors_next_to_zero_are_finite_whatever_made_them_small(beta, x):
    layer, dy = Synapse(8), np.ones((2, 8), "float32")
    layer.params["beta"][...] = beta
    y, cache = FastSynapse(layer).forward(np.full((2, 8), x, "float32"))
    dx, grads = FastSynapse(layer).backward(dy, cache)
    assert all(np.isfinite(a).all() for a in (y, dx, *grads.values()))


@pytest.mark.parametrize("name", ["uniform", "beta up to 0.999", "factors of any sign"])
def test_backward_equals_numeric_gradients(name):
    x_of, beta_of, _ = CASES[name]
    layer, x, _ = build(x_of, beta_of, 3, 6, "float64")
    x = np.clip(x, 0.05, 0.95)  # differences need room on both sides
    fast = FastSynapse(layer)
    fast.backend = layer.backend
    check_layer(fast, x, np.random.default_rng(0))


def test_a_wrong_width_is_refused():
    with pytest.raises(ValueError, match="Synapse"):
        FastSynapse(Synapse(4)).forward(np.zeros((2, 5), "float32"))


@pytest.mark.parametrize("way", ["series", "series with exact entries", "blocks"])
@pytest.mark.parametrize("train_alpha", [True, False])
@pytest.mark.parametrize("parametrisation", ["free", "logistic", "surprisal"])
def test_every_parametrisation_has_the_gradients_of_the_plain_layer(parametrisation, train_alpha, way):
    rng = np.random.default_rng(8)
    layer = Synapse(64, parametrisation, train_alpha, rng=rng, dtype="float64")
    for a in (layer.params | layer.buffers).values():
        a += rng.uniform(0, 0.1, a.shape)
    x = softmax_rows(rng, 40, 64)
    if way == "series with exact entries":
        x[:3] *= 0.05
        x[:3, 7] = 0.95
    if way == "blocks":
        x = rng.uniform(0.9, 1, x.shape)
        layer.params[layer.beta[0]] -= 3.0 if parametrisation == "surprisal" else -3.0
    assert used(layer, x) == way
    dy = rng.standard_normal(x.shape)
    y, cache = FastSynapse(layer).forward(x)
    dx, grads = FastSynapse(layer).backward(dy, cache)
    expected, cache = layer.forward(x)
    expected_dx, expected_grads = layer.backward(dy, cache)
    assert grads.keys() == layer.params.keys()
    for computed, true in ((y, expected), (dx, expected_dx), *((grads[k], g) for k, g in expected_grads.items())):
        assert np.abs(computed - true).max() <= 1e-11 * np.abs(true).max()
