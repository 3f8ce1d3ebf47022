import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.standard import LayerTests, assert_close
from synann_np.gradcheck import check_layer
from synann_np.layers import Synapse

CASES = {
    "one-row": (lambda **options: Synapse(3, **options), (1, 3)),
    "sizes-all-different": (lambda **options: Synapse(4, **options), (5, 4)),
    "one-unit": (lambda **options: Synapse(1, **options), (3, 1)),
    "one-number": (lambda **options: Synapse(1, **options), (1, 1)),
    "zero-diagonal": (lambda **options: Synapse(4, zero_diagonal=True, **options), (3, 4)),
    "zero-diagonal-of-one-unit": (lambda **options: Synapse(1, zero_diagonal=True, **options), (3, 1)),
}


class TestSynapse(LayerTests):
    cases = CASES

    def draw(self, rng, shape):
        """Probabilities; alpha and beta are normal, so either sign occurs, and beta x beyond 1 with it."""
        return rng.uniform(0, 1, shape)

    def formula(self, layer, x, train):
        alpha, beta = layer.params["alpha"], layer.params["beta"]
        N, n = x.shape
        y = np.zeros((N, n))
        for m in range(N):
            for i in range(n):
                y[m, i] = alpha[i] * x[m, i]
                for j in range(n):
                    if not (layer.zero_diagonal and i == j):
                        y[m, i] *= 1 - beta[i, j] * x[m, j]
        return y


def synapse(beta, alpha=None, dtype="float64"):
    beta = np.asarray(beta, dtype)
    layer = Synapse(len(beta), dtype=dtype)
    layer.params["beta"][...] = beta
    if alpha is not None:
        layer.params["alpha"][...] = alpha
    return layer


def product_of_the_others(q, left_out):
    return math.prod(float(factor) for j, factor in enumerate(q) if j != left_out)


def gradients_as_loops(layer, x, dy):
    """dx, dalpha, dbeta with ∂P/∂q_j as the product of the other factors: no division, so no exception at q = 0."""
    alpha, beta = layer.params["alpha"], layer.params["beta"]
    dx, dalpha, dbeta = np.zeros(x.shape), np.zeros(alpha.shape), np.zeros(beta.shape)
    N, n = x.shape
    for m in range(N):
        for i in range(n):
            q = [1 - beta[i, j] * x[m, j] for j in range(n)]
            dalpha[i] += dy[m, i] * x[m, i] * math.prod(q)
            dx[m, i] += dy[m, i] * alpha[i] * math.prod(q)
            for j in range(n):
                through_q = dy[m, i] * alpha[i] * x[m, i] * product_of_the_others(q, j)
                dbeta[i, j] -= through_q * x[m, j]
                dx[m, j] -= through_q * beta[i, j]
    return dx, dalpha, dbeta


def assert_gradients_equal_the_loops(layer, x, rng):
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    dx, grads = layer.backward(dy, cache)
    expected_dx, expected_dalpha, expected_dbeta = gradients_as_loops(layer, x, dy)
    assert_close(y, TestSynapse().formula(layer, x, False))
    assert_close(dx, expected_dx)
    assert_close(grads["alpha"], expected_dalpha)
    assert_close(grads["beta"], expected_dbeta)


def test_alpha_starts_at_one_and_beta_within_one_over_root_n():
    params = Synapse(100, rng=np.random.default_rng(5)).params
    np.testing.assert_array_equal(params["alpha"], np.ones(100))
    assert params["beta"].shape == (100, 100)
    assert 0.099 < np.abs(params["beta"]).max() <= 0.1


def test_row_i_of_beta_drives_output_i():
    layer = synapse([[0, 0, 0], [0, 0, 0.5], [0, 0, 0]])
    y, _ = layer.forward(np.array([[0.25, 0.5, 1.0]]))
    np.testing.assert_array_equal(y, [[0.25, 0.25, 1]])


def test_at_zero_and_one_it_computes_x_and_not_y():
    layer = synapse([[0, 1], [1, 0]])
    for x in (0.0, 1.0):
        for y in (0.0, 1.0):
            z, _ = layer.forward(np.array([[x, y]]))
            assert z[0, 0] == (x and not y)


@pytest.mark.parametrize(
    "x",
    [[[0.0, 0.3, 0.7]], [[1.0, 0.3, 0.7]], [[0.0, 1.0, 0.5]], [[0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]]],
    ids=str,
)
def test_inputs_of_exactly_zero_and_one_are_right(x, rng):
    layer = synapse(rng.uniform(-1, 0.9, (3, 3)), rng.standard_normal(3))
    x = np.array(x)
    assert_gradients_equal_the_loops(layer, x, rng)
    check_layer(layer, x, rng)


BETAS_WITH_ZERO_FACTORS = {
    "one-zero": ([[1, 0.5, 0.3], [0.2, 0.4, -0.6], [0.1, 0.7, 0.9]], [[1, 0.5, 0.25]]),
    "one-zero-from-beta-two": ([[0.3, 2, 0.3], [0.2, 0.4, -0.6], [0.1, 0.7, 0.9]], [[1, 0.5, 0.25]]),
    "two-zeros-in-one-product": ([[1, 0.5, 1], [0.2, 0.4, -0.6], [0.1, 0.7, 0.9]], [[1, 0.5, 1]]),
    "only-zeros": ([[1, 1, 1], [1, 1, 1], [1, 1, 1]], [[1, 1, 1]]),
    "a-zero-in-some-rows": ([[1, 0.5, 0.3], [0.2, 1, -0.6], [0.1, 0.7, 4]], [[1, 0.5, 0.25], [0.5, 1, 1], [0, 1, 0]]),
    "zero-and-negative-factors": ([[1, 3, -2], [4, 1, 1], [2.5, 0.7, 0.9]], [[1, 0.5, 1]]),
    "one-unit": ([[1]], [[1], [0.5]]),
}


@pytest.mark.parametrize(("beta", "x"), BETAS_WITH_ZERO_FACTORS.values(), ids=BETAS_WITH_ZERO_FACTORS)
def test_where_a_factor_is_zero_the_gradient_is_the_product_of_the_others(beta, x, rng):
    layer = synapse(beta, rng.uniform(0.5, 2, len(beta)))
    x = np.array(x, "float64")
    assert any((layer.params["beta"] * row == 1).any() for row in x)
    assert_gradients_equal_the_loops(layer, x, rng)
    check_layer(layer, x, rng)


def test_one_zero_factor_gives_the_limit_by_hand():
    layer = synapse([[1, 0.5], [0, 0]])
    y, cache = layer.forward(np.array([[1.0, 0.5]]))
    dx, grads = layer.backward(np.array([[1.0, 0.0]]), cache)
    assert y[0, 0] == 0
    np.testing.assert_array_equal(grads["alpha"], [0, 0])
    np.testing.assert_array_equal(grads["beta"], [[-0.75, 0], [0, 0]])
    np.testing.assert_array_equal(dx, [[-0.75, 0]])


def test_two_zero_factors_leave_no_gradient():
    layer = synapse([[1, 1], [0, 0]])
    y, cache = layer.forward(np.array([[1.0, 1.0]]))
    dx, grads = layer.backward(np.array([[1.0, 0.0]]), cache)
    assert y[0, 0] == 0
    assert not dx.any()
    assert not grads["alpha"].any()
    assert not grads["beta"].any()


@pytest.mark.parametrize("scale", [3.0, -3.0], ids=["above-one", "negative"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_beta_outside_zero_to_one_is_right(scale, n, rng):
    layer = synapse(scale * rng.uniform(0.5, 1.5, (n, n)), -rng.uniform(0.5, 2, n))
    x = rng.uniform(0, 1, (4, n))
    x[0] = 1
    assert_gradients_equal_the_loops(layer, x, rng)
    check_layer(layer, x, rng)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("small_first", [True, False])
def test_512_factors_whose_partial_products_leave_the_range_of_floats_are_right(dtype, small_first, rng):
    """Factors 2⁻¹⁰ and 2¹⁰, nearly as many of either: the product is ordinary, 256 of one kind are 2^±2560.

    x and β are powers of two and their like, so the factors are exact and the reference, a sum of integers, is too.
    """
    n, N = 512, 3
    x = rng.choice([0.5, 1.0], (N, n))
    x[:] = x[0]  # every row of the batch meets the same exponents ...
    exponent = np.where((np.arange(n) < n // 2) == small_first, -10, 10) * np.ones((n, 1))
    surplus = rng.integers(-1, 2, (n, 2)) * 10
    exponent[:, [0, -1]] += surplus  # ... and the product of unit i is 2^−20 ... 2^20
    beta = (1 - 2.0**exponent) / x[0]
    x[1, :2] = 0  # but for two factors of 1
    alpha = rng.choice([0.5, 1.0, -2.0], n)
    layer = synapse(beta, alpha, dtype)
    dy = rng.choice([-1.0, 0.5, 1.0], (N, n))

    y, cache = layer.forward(x.astype(dtype))
    dx, grads = layer.backward(dy.astype(dtype), cache)

    present = x != 0
    exponents = np.where(present[:, None, :], exponent, 0)  # of q_nij
    P = 2.0 ** exponents.sum(axis=2)
    O = P[:, :, None] * 2.0**-exponents
    c = (dy * alpha * x)[:, :, None] * O
    expected = {
        "y": alpha * x * P,
        "alpha": (dy * x * P).sum(axis=0),
        "beta": -(c * x[:, None, :]).sum(axis=0),
        "x": dy * alpha * P - (c * beta).sum(axis=1),
    }
    tolerance = 1e-3 if dtype == "float32" else 1e-11
    for name, actual in {"y": y, "x": dx, **grads}.items():
        assert actual.dtype == dtype
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(actual, expected[name], rtol=tolerance, atol=tolerance * scale, err_msg=name)
    np.testing.assert_allclose(y, expected["y"], rtol=tolerance)


def finite_parameters(dtype):
    largest = float(np.finfo(dtype).max)
    special = [0, 1, 2, -1, 1e30, -1e30, largest, -largest, float(np.finfo(dtype).tiny), 1 + 1e-6, 1 - 1e-6]
    anything = st.floats(-largest, largest, width=32 if dtype == "float32" else 64)
    return st.one_of(st.sampled_from(special), anything, st.floats(-2, 2, width=32))


SUBNORMAL = float(np.float32(1e-40))
PROBABILITIES = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 1e-30, SUBNORMAL]), st.floats(0, 1, width=32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_every_finite_beta_and_every_probability_give_finite_results(dtype, data):
    n = data.draw(st.integers(1, 4), label="n")
    N = data.draw(st.integers(1, 3), label="N")
    beta = data.draw(st.lists(finite_parameters(dtype), min_size=n * n, max_size=n * n), label="beta")
    x = data.draw(st.lists(PROBABILITIES, min_size=N * n, max_size=N * n), label="x")
    dy = data.draw(st.lists(st.floats(-10, 10, width=32), min_size=N * n, max_size=N * n), label="dy")
    alpha = data.draw(st.lists(st.floats(-10, 10, width=32), min_size=n, max_size=n), label="alpha")
    layer = synapse(np.reshape(beta, (n, n)), alpha, dtype)
    x, dy = (np.reshape(a, (N, n)).astype(dtype) for a in (x, dy))
    y, cache = layer.forward(x)
    dx, grads = layer.backward(dy, cache)
    for name, a in {"y": y, "dx": dx, **grads}.items():
        assert np.isfinite(a).all(), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 64])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("value", [0.0, 1e-30, 0.5, 1.0])
def test_the_largest_beta_gives_finite_results(dtype, n, sign, value):
    layer = synapse(np.full((n, n), sign * np.finfo(dtype).max), dtype=dtype)
    x = np.full((3, n), value, dtype)
    x[1, 0], x[2, -1] = 0, 1
    y, cache = layer.forward(x)
    dx, grads = layer.backward(np.ones_like(y), cache)
    for name, a in {"y": y, "dx": dx, **grads}.items():
        assert a.dtype == dtype
        assert np.isfinite(a).all(), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_large_dy_on_a_saturated_product_gives_finite_gradients(dtype):
    """The product stops at the root of the largest float; over a factor near 0 and times dy it would overflow."""
    info = np.finfo(dtype)
    layer = synapse([[1 - info.eps, -info.max], [0, 0]], dtype=dtype)
    y, cache = layer.forward(np.ones((1, 2), dtype))
    dx, grads = layer.backward(np.full((1, 2), np.sqrt(info.max) / 1e5, dtype), cache)
    for name, a in {"y": y, "dx": dx, **grads}.items():
        assert np.isfinite(a).all(), name


def test_a_saturated_product_keeps_its_sign():
    for sign in (1, -1):
        y, _ = synapse(np.full((3, 3), sign * 1e30), dtype="float32").forward(np.ones((1, 3), "float32"))
        assert (np.sign(y) == -sign).all()  # three factors of about −sign 10³⁰
        assert (np.abs(y) > 1e18).all()


def test_zero_inputs_with_extreme_beta_do_not_disturb_the_others():
    layer = synapse([[0.5, 1e38], [1e38, 1e38]], dtype="float32")
    y, _ = layer.forward(np.array([[0.5, 0.0]], "float32"))
    np.testing.assert_array_equal(y, [[0.375, 0]])


@pytest.mark.parametrize("shape", [(2, 1), (2, 2), (2, 4), (3,), (2, 3, 1)])
def test_a_wrong_width_is_refused_not_broadcast(shape):
    with pytest.raises(ValueError, match="expected input"):
        Synapse(3).forward(np.zeros(shape, "float32"))


@pytest.mark.parametrize("parametrisation", ["free", "logistic", "surprisal"])
def test_with_a_zero_diagonal_no_unit_inhibits_itself_and_nothing_trains_there(parametrisation, rng):
    layer = Synapse(4, parametrisation, zero_diagonal=True, rng=rng, dtype="float64")
    assert (np.diag(layer.coefficients()[1]) == 0).all()
    x = rng.uniform(0.1, 0.9, (3, 4))
    check_layer(layer, x, rng)
    y, cache = layer.forward(x)
    name = next(name for name in layer.params if "beta" in name or "gamma" in name)
    assert (np.diag(layer.backward(np.ones_like(y), cache)[1][name]) == 0).all()
