"""The synapse as a series, as products of three factors and by blocks, against the plain layer in float64."""

import numpy as np
import pytest

from synann_np.fast import synapse_products, synapse_series
from synann_np.fast.synapse import FastSynapse
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


def with_some(value, share=0.02):
    """small_beta, and a value here and there, in the first row for certain."""

    def beta(rng, n):
        some = small_beta(rng, n)
        some[rng.random((n, n)) < share] = value
        some[0, -1] = value
        return some

    return beta


# name -> (x, beta, the way that it takes at N = 40, n = 64)
CASES = {
    "softmax rows": (softmax_rows, small_beta, "series"),
    "uniform": (lambda rng, N, n: rng.random((N, n)), small_beta, "series"),
    "zeros and ones": (with_exact_ends, small_beta, "series"),
    "sharp softmax rows, wide beta": (
        lambda rng, N, n: softmax_rows(rng, N, n, 8.0),
        lambda rng, n: rng.uniform(-0.95, 0.95, (n, n)),
        "products",
    ),
    "beta up to 0.999": (with_exact_ends, lambda rng, n: rng.uniform(0, 0.999, (n, n)) / 2, "products"),
    "beta between -0.999 and 0.999": (with_exact_ends, lambda rng, n: rng.uniform(-0.999, 0.999, (n, n)), "products"),
    "some beta of 0.999": (with_exact_ends, with_some(0.999), "products"),
    "some beta of -20": (lambda rng, N, n: softmax_rows(rng, N, n), with_some(-20), "products"),
    "beta above 1, beta x far below": (
        lambda rng, N, n: 0.4 * with_exact_ends(rng, N, n),
        lambda rng, n: 1.4 * small_beta(rng, n) * np.sqrt(n),
        "products",
    ),
    "some factors that are zero": (with_exact_ends, with_some(1.0, share=1 / 500), "both"),
    "some factors below zero": (with_exact_ends, with_some(1.5, share=1 / 500), "both"),
    "factors of any sign": (with_exact_ends, lambda rng, n: rng.uniform(-2, 2, (n, n)), "blocks"),
    "factors that are zero": (with_exact_ends, lambda rng, n: rng.integers(0, 2, (n, n)), "blocks"),
    "x beyond 0 and 1": (lambda rng, N, n: rng.uniform(-1.2, 1.2, (N, n)), small_beta, "series"),
    "x beyond 0 and 1, wide beta": (
        lambda rng, N, n: rng.uniform(-1.2, 1.2, (N, n)),
        lambda rng, n: rng.uniform(-0.9, 0.9, (n, n)),
        "blocks",
    ),
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


def compare_with_formula(fast, layer, x, dy, tolerance_of):
    """Everything that `fast` computes against the plain layer in float64; x and dy stay. tolerance_of(cache): relative
    to the largest element.
    """
    x_before, dy_before = x.copy(), dy.copy()
    y, cache = fast.forward(x)
    dx, grads = fast.backward(dy, cache)
    y_true, dx_true, grads_true = in_float64(layer, x, dy)
    for tensor, computed, true in (
        ("y", y, y_true),
        ("dx", dx, dx_true),
        ("dalpha", grads["alpha"], grads_true["alpha"]),
        ("dbeta", grads["beta"], grads_true["beta"]),
    ):
        assert computed.dtype == x.dtype, tensor
        assert np.abs(computed - true).max() <= tolerance_of(cache) * np.abs(true).max(), tensor
    assert grads.keys() == layer.params.keys()
    assert np.array_equal(x, x_before)
    assert np.array_equal(dy, dy_before)


def used(layer, x):
    _, (_, _, d, powers, held) = FastSynapse(layer).forward(x)
    if held is None:
        assert len(powers) == len(d) <= synapse_series.MOST_TERMS
        return "series"
    return "products" if held.all() else "both" if held.any() else "blocks"


@pytest.mark.parametrize(("N", "n"), [(1, 1), (3, 2), (1, 5), (13, 33), (40, 64), (150, 31)])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_values_and_gradients_equal_the_formula(name, N, n, dtype, tolerance):
    x_of, beta_of, _ = CASES[name]
    layer, x, dy = build(x_of, beta_of, N, n, dtype)
    compare_with_formula(FastSynapse(layer), layer, x, dy, lambda cache: tolerance)


@pytest.mark.parametrize("name", CASES)
def test_each_case_takes_the_way_that_it_is_meant_to_test(name):
    x_of, beta_of, way = CASES[name]
    layer, x, _ = build(x_of, beta_of, 40, 64, "float32")
    assert used(layer, x) == way


@pytest.mark.parametrize("K", range(1, 10))
@pytest.mark.parametrize("r", [1e-9, 1e-3, 0.03, 0.1, 0.3, 0.5])
def test_the_series_and_its_integral_keep_their_bound(r, K):
    d, z = synapse_series.chebyshev(r, K), np.linspace(-r, r, 2001)
    bound, rounding = synapse_series.error(r, K), 1e-15
    g = sum(dm * z**m for m, dm in enumerate(d))
    log = -sum(dm * z ** (m + 1) / (m + 1) for m, dm in enumerate(d))
    error = np.abs(g - 1 / (1 - z)).max()
    assert error <= bound + rounding
    assert (np.abs(log - np.log1p(-z)) <= bound * np.abs(z) + rounding).all()
    assert error >= 0.5 * bound - rounding  # a bound that is far too large would cost terms


@pytest.mark.parametrize("r", [1e-3, 0.03, 0.1, 0.2, 0.25])
def test_the_number_of_terms_holds_where_the_bound_is_tight(r):
    """All |β x| equal to r and of one sign: nothing averages out."""
    x, beta = np.ones((4, 64), "float32"), np.full((64, 64), r, "float32")
    d = synapse_series.plan_series(x, beta)
    log_P = -sum(64 * dm * r ** (m + 1) / (m + 1) for m, dm in enumerate(d.astype("float64")))
    assert abs(np.expm1(log_P - 64 * np.log1p(-r))) < 2e-6
    assert abs(sum(dm * r**m for m, dm in enumerate(d)) * (1 - r) - 1) < 1e-6


@pytest.mark.parametrize("weight", [0.1, 1.0, 30.0, 500.0])
@pytest.mark.parametrize("r", [0.001, 0.03, 0.1])
def test_the_number_of_terms_is_the_least_that_bounds_log_P_and_gradients(r, weight):
    """E · Z, and E itself, which bounds the gradients, however small Z is."""
    K = synapse_series.terms(r, weight, 1e-6)
    errors = [synapse_series.error(r, k) * max(1, weight) for k in (K - 1, K)]
    assert errors[1] <= 1e-6 < errors[0]


@pytest.mark.parametrize("r", [1e-12, 1e-3, 0.02, 0.125, 0.24, 0.5, 0.99, 1 - 1e-12])
def test_r_is_rounded_up_and_stays_below_one(r):
    assert r < synapse_series.above(r) < 1


def test_column_by_column_the_series_needs_fewer_terms():
    x, beta = np.full((2, 8), 0.01, "float32"), np.full((8, 8), 0.01, "float32")
    x[0, 3], beta[5, 4] = 1, 1
    assert len(synapse_series.plan_series(x, beta)) < 6


@pytest.mark.parametrize(("beta", "way"), [(0.055, "products"), (-0.055, "products"), (0.01, "series")])
def test_a_large_log_P_is_not_left_to_the_rounding_of_a_series(beta, way):
    """All of one sign, so that log P is about -14, 13 and -2.6."""
    layer, x, dy = build(
        lambda rng, N, n: np.ones((N, n)), lambda rng, n: beta * rng.uniform(0.8, 1.2, (n, n)), 2, 256, "float32"
    )
    assert used(layer, x) == way
    y, _ = FastSynapse(layer).forward(x)
    assert np.abs(y / in_float64(layer, x, dy)[0] - 1).max() < 5e-6


def test_products_keep_the_exponent_where_a_part_of_them_leaves_float64():
    """Factors of 2⁻²⁴ in front, of 60 and 61 behind: the part in front is 2⁻¹²⁰⁰."""
    x, beta = np.ones((2, 254), "float32"), np.ones((1, 254), "float32")
    beta[:, :50] = 1 - 2**-24
    beta[:, 50:] = -59
    beta[:, 200:] = -60
    with np.errstate(under="ignore"):
        P = synapse_products.forward(x, beta)
    log_P = 50 * np.log(2.0**-24) + 150 * np.log(60) + 54 * np.log(61)
    assert abs(log_P) < 40
    assert np.allclose(P, np.exp(log_P), rtol=1e-5)
    with np.errstate(over="ignore"):
        saturated = synapse_products.forward(x[:, 60:], beta[:, 60:])
    assert np.isfinite(saturated).all()
    assert (saturated > 1e19).all()


@pytest.mark.parametrize(
    ("x", "beta", "held"),
    [
        (1.0, 1.0, False),  # the factor is 0
        (1.0, 1 - 2**-24, True),
        (1 - 2**-24, 1.0, True),
        (0.5, 1.3, True),
        (0.5, 1.4, False),  # w + x |b| = 0.7 is more than twice 1 − β x = 0.3
        (0.5, 2.5, False),
        (1.0, -64.0, True),
        (1.0, -65.0, False),
        (1.01, 0.5, False),
        (-0.01, 0.5, False),
        (float("nan"), 0.5, False),
        (0.5, float("nan"), False),
    ],
)
def test_products_take_what_they_hold_accurately(x, beta, held):
    x, beta = np.array([[0.5, x], [0.5, 0.1]], "float32"), np.array([[0.9, beta], [0.9, 0.1]], "float32")
    assert synapse_products.fits(x, beta).tolist() == [held, held or (0 <= x[0, 1] <= 1)]


@pytest.mark.parametrize("zeros", [1, 2])
def test_where_a_factor_is_zero_the_gradient_is_the_product_of_the_others(zeros):
    layer = Synapse(3, dtype="float64")
    layer.params["beta"][...] = [[0.5, 0.5, 0.5], [1, 1, 0.25] if zeros == 2 else [0.5, 1, 0.25], [0.9, 0.5, 0.5]]
    x, dy = np.array([[1.0, 1.0, 0.8]]), np.ones((1, 3))
    assert used(layer, x) == "both"
    y, cache = FastSynapse(layer).forward(x)
    _, grads = FastSynapse(layer).backward(dy, cache)
    assert y[0, 1] == 0
    expected = [0, 0, 0] if zeros == 2 else [0, -0.5 * (1 - 0.25 * 0.8), 0]
    assert np.allclose(grads["beta"][1], expected, rtol=1e-14, atol=0)


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


@pytest.mark.parametrize(
    "name", ["uniform", "beta between -0.999 and 0.999", "some factors below zero", "factors of any sign"]
)
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


@pytest.mark.parametrize("way", ["series", "products", "both"])
@pytest.mark.parametrize("train_alpha", [True, False])
@pytest.mark.parametrize("parametrisation", ["free", "logistic", "surprisal"])
def test_every_parametrisation_has_the_gradients_of_the_plain_layer(parametrisation, train_alpha, way):
    rng = np.random.default_rng(8)
    layer = Synapse(64, parametrisation, train_alpha, rng=rng, dtype="float64")
    for a in (layer.params | layer.buffers).values():
        a += rng.uniform(0, 0.1, a.shape)
    x, raw = 0.05 * softmax_rows(rng, 40, 64), layer.params[layer.beta[0]]
    if way != "series":
        x = rng.uniform(0.9, 1, x.shape)
        if parametrisation == "free":
            raw[...] = rng.uniform(-0.9, 0.99, raw.shape)
        else:
            raw += {"logistic": 3.0, "surprisal": -3.0}[parametrisation]  # β near 1
    if way == "both":
        raw[5, 7] = {"free": 1.5, "logistic": 50.0, "surprisal": -800.0}[parametrisation]  # β = 1 at least
        x[0, 7] = 1
    assert used(layer, x) == way
    dy = rng.standard_normal(x.shape)
    y, cache = FastSynapse(layer).forward(x)
    dx, grads = FastSynapse(layer).backward(dy, cache)
    expected, cache = layer.forward(x)
    expected_dx, expected_grads = layer.backward(dy, cache)
    assert grads.keys() == layer.params.keys()
    for computed, true in ((y, expected), (dx, expected_dx), *((grads[k], g) for k, g in expected_grads.items())):
        assert np.abs(computed - true).max() <= 1e-11 * np.abs(true).max()
