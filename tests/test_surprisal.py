"""Surprisal space: identities symbolically and over random and extreme values, the synapse graph against the layer."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strict_device
from synann_np.backend import get_backend
from synann_np.gradcheck import check_layer, numeric_gradient
from synann_np.layers import Synapse
from synann_np.mathematics.surprisal import (
    bose_einstein,
    conjugate_complement,
    probability,
    surprisal,
    surprisal_graph,
    surprisal_graph_backward,
    surprisal_synapse,
    surprisal_synapse_gradient,
    surprisal_synapse_hessian,
)
from synann_np.mathematics.synapse_function import synapse

sp = pytest.importorskip("sympy")

many = settings(deadline=None, max_examples=100)
open_unit = st.one_of(st.floats(1e-300, 1, exclude_max=True), st.sampled_from([1e-300, 1e-16, 1 - 2**-53]))
energies = st.one_of(st.floats(1e-300, 700), st.sampled_from([1e-300, 1e-8, math.log(2), 36.7, 700.0]))
surprisals = st.floats(1e-6, 600)
U, V, THETA, GAMMA, Z = sp.symbols("u v theta gamma z", positive=True)


def g(z):
    return -sp.log(1 - sp.exp(-z))


def at(*values):
    return [np.float64(v) for v in values]


# ---- I and its inverse


@many
@given(open_unit)
def test_probability_undoes_surprisal(x):
    u = surprisal(np.float64(x))
    assert probability(u) == pytest.approx(
        x, rel=1e-15 * (2 + float(u))
    )  # u carries a relative error into the exponent


def test_products_become_sums():
    x, y = at(0.3, 0.02)
    assert surprisal(x * y) == pytest.approx(surprisal(x) + surprisal(y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_ends_are_exact(dtype):
    ends = np.array([0, 1], dtype)
    np.testing.assert_array_equal(surprisal(ends), [np.inf, 0])
    assert not np.signbit(surprisal(ends)).any()  # −0 would turn the pole of 1 / (e^z − 1) around
    np.testing.assert_array_equal(probability(surprisal(ends)), ends)
    np.testing.assert_array_equal(conjugate_complement(surprisal(ends)), [0, np.inf])
    np.testing.assert_array_equal(bose_einstein(surprisal(ends)), [0, np.inf])
    assert not np.signbit(conjugate_complement(surprisal(ends))).any()


# ---- G


@many
@given(energies)
def test_G_is_its_own_inverse(z):
    once = conjugate_complement(np.float64(z))
    assert conjugate_complement(once) == pytest.approx(z, rel=1e-15 * (4 + z + float(once)))


@many
@given(open_unit)
def test_the_diagram_commutes(x):
    """G(I(x)) = I(1 − x), compared where 1 − x is exact in floating point."""
    x = 1 - (1 - x)
    if 0 < x < 1:
        x = np.float64(x)
        assert conjugate_complement(surprisal(x)) == pytest.approx(surprisal(1 - x), rel=1e-13, abs=0)


@many
@given(energies)
def test_G_is_complement_conjugated_by_surprisal(z):
    """G = I ∘ F ∘ I⁻¹, with 1 − e^−z and its logarithm computed by mpmath to 400 digits."""
    exact = sp.Float(-sp.log(1 - sp.exp(-sp.Rational(z).n(400))), 400) if z > 0 else sp.oo
    assert conjugate_complement(np.float64(z)) == pytest.approx(float(exact), rel=4e-16, abs=0)


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 3e-7), ("float64", 4e-16)])
def test_G_keeps_all_digits_on_both_sides_of_log_2(dtype, rtol):
    z = np.array([1e-30, 1e-8, 1e-3, 0.1, 0.69, 0.6931, 0.6932, 0.7, 1, 5, 17, 40, 80], dtype)
    exact = [float(g(sp.Rational(float(v)).n(60)).n(40)) for v in z]
    np.testing.assert_allclose(conjugate_complement(z), exact, rtol=rtol)


def test_G_has_one_fixed_point_log_2_where_a_channel_is_open_with_probability_one_half():
    assert conjugate_complement(np.float64(math.log(2))) == pytest.approx(math.log(2), rel=1e-15)
    z = np.array([0.1, 0.5, 1, 3])
    assert ((conjugate_complement(z) > z) == (z < math.log(2))).all()


def test_G_is_its_own_inverse_and_conjugate_symbolically():
    assert sp.simplify(sp.expand_log(sp.simplify(g(g(Z))), force=True)) == Z
    x = sp.symbols("x", positive=True)
    assert sp.simplify(g(-sp.log(x)) + sp.log(1 - x)) == 0


def test_the_derivatives_of_G_are_polynomials_in_the_bose_einstein_distribution_symbolically():
    n = 1 / (sp.exp(Z) - 1)
    assert sp.simplify(sp.diff(g(Z), Z) + n) == 0
    assert sp.simplify(sp.diff(n, Z) + n * (1 + n)) == 0
    assert sp.simplify(sp.diff(g(Z), Z, 2) - n * (1 + n)) == 0
    assert sp.simplify(sp.diff(g(Z), Z, 3) + n * (1 + n) * (1 + 2 * n)) == 0


def test_the_limits_of_G_symbolically():
    assert sp.limit(g(Z), Z, 0, "+") == sp.oo
    assert sp.limit(g(Z), Z, sp.oo) == 0
    assert sp.limit(g(Z) + sp.log(Z), Z, 0, "+") == 0  # G(z) → −log z
    w = sp.exp(-Z)
    assert sp.limit((g(Z) / w).subs(w, U), U, 0, "+") == 1  # G(z) → w = e^−z


@many
@given(energies)
def test_bose_einstein_keeps_all_digits(z):
    exact = 1 / (sp.exp(sp.Rational(z).n(400)) - 1)
    assert bose_einstein(np.float64(z)) == pytest.approx(float(exact), rel=1e-15, abs=0)


# ---- the surprisal synapse


@many
@given(st.floats(1e-100, 1), st.floats(1e-6, 1), st.floats(1e-3, 1e3), st.floats(1e-6, 0.99))
def test_the_surprisal_synapse_is_the_surprisal_of_the_synapse(x, y, alpha, beta):
    x, y, alpha, beta = at(x, y, alpha, beta)
    expected = surprisal(synapse(x, y, alpha, beta))
    assert surprisal_synapse(*map(surprisal, (x, y, alpha, beta))) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_gradient_and_hessian_of_the_surprisal_synapse_are_those_that_sympy_derives():
    variables = (U, V, THETA, GAMMA)
    LS = THETA + U + g(GAMMA + V)
    rng = np.random.default_rng(1)
    values = [rng.uniform(0.1, 3, shape) for shape in [(3, 1), (4,), (), (3, 4)]]
    everywhere = np.broadcast_arrays(*values)
    gradient, hessian = surprisal_synapse_gradient(*values), surprisal_synapse_hessian(*values)
    assert gradient.shape == (3, 4, 4)
    assert hessian.shape == (3, 4, 4, 4)
    for k, p in enumerate(variables):
        np.testing.assert_allclose(gradient[..., k], sp.lambdify(variables, sp.diff(LS, p))(*everywhere), rtol=1e-12)
        for l, r in enumerate(variables):
            expected = sp.lambdify(variables, sp.diff(LS, p, r))(*everywhere)
            np.testing.assert_allclose(hessian[..., k, l], expected, rtol=1e-12)


def test_derivatives_of_the_surprisal_synapse_agree_with_differences():
    p = np.array([0.3, 0.8, 1.7, 0.6])
    numeric = numeric_gradient(lambda: float(surprisal_synapse(*p)), p)
    np.testing.assert_allclose(surprisal_synapse_gradient(*p), numeric, rtol=1e-8)


@many
@given(surprisals, surprisals)
def test_swapping_the_inputs_leaves_the_log_odds_ratio(u, v):
    """LS(v, u) − LS(u, v) = log of [x / (1 − x)] / [y / (1 − y)], with log(x / (1 − x)) = −log(e^u − 1)."""
    difference = surprisal_synapse(*at(v, u)) - surprisal_synapse(*at(u, v))
    log_odds = [-u - math.log1p(-math.exp(-u)), -v - math.log1p(-math.exp(-v))]
    assert difference == pytest.approx(log_odds[0] - log_odds[1], rel=1e-9, abs=1e-9)


# ---- the synapse graph


class GraphAsLayer:
    """u ↦ w with v fixed or v = u, in the form that the gradient check wants."""

    buffers = {}  # noqa: RUF012
    mixes_rows = True  # v belongs to one batch
    backend = get_backend("numpy")

    def __init__(self, v=None, **params):
        self.v = v
        self.params = params if v is None else {"v": v, **params}

    def forward(self, u, train=False):
        return surprisal_graph(u, u if self.v is None else self.v, self.params["theta"], self.params["gamma"])

    def backward(self, dw, cache):
        du, dv, dtheta, dgamma = surprisal_graph_backward(dw, cache)
        grads = {"theta": dtheta, "gamma": dgamma}
        return (du + dv, grads) if self.v is None else (du, {"v": dv, **grads})


def test_the_graph_equals_its_formula_written_as_loops():
    rng = np.random.default_rng(2)
    u, v, theta, gamma = (rng.uniform(0.1, 2, shape) for shape in [(3, 2), (3, 4), (2,), (2, 4)])
    w, _ = surprisal_graph(u, v, theta, gamma)
    for n in range(3):
        for i in range(2):
            expected = theta[i] + u[n, i]
            for j in range(4):
                expected -= math.log(1 - math.exp(-(gamma[i, j] + v[n, j])))
            assert w[n, i] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("N", "n", "m"), [(1, 3, 3), (4, 3, 5), (3, 1, 2), (2, 5, 1)])
def test_gradients_of_the_graph_equal_numeric_ones(N, n, m):
    rng = np.random.default_rng(N)
    u, v, theta, gamma = (rng.uniform(0.2, 2, shape) for shape in [(N, n), (N, m), (n,), (n, m)])
    check_layer(GraphAsLayer(v, theta=theta, gamma=gamma), u, rng)
    check_layer(GraphAsLayer(theta=theta, gamma=rng.uniform(0.2, 2, (n, n))), u, rng)


def test_the_graph_is_the_synapse_layer_in_surprisals_forward_and_backward():
    """y = e^−w, and by the chain rule dw = −y dy, du = −x dx, dθ = −α dα, dγ = −β dβ."""
    rng = np.random.default_rng(4)
    layer = Synapse(5, dtype="float64")
    alpha, beta, x = rng.uniform(0.5, 2, 5), rng.uniform(0.01, 0.99, (5, 5)), rng.uniform(0.01, 1, (3, 5))
    x[0, 2] = 1
    layer.params["alpha"][...], layer.params["beta"][...] = alpha, beta
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    dx, grads = layer.backward(dy, cache)

    u, theta, gamma = map(surprisal, (x, alpha, beta))
    w, cache = surprisal_graph(u, u, theta, gamma)
    np.testing.assert_allclose(probability(w), y, rtol=1e-12)
    du, dv, dtheta, dgamma = surprisal_graph_backward(-y * dy, cache)
    np.testing.assert_allclose(du + dv, -x * dx, rtol=1e-10)
    np.testing.assert_allclose(dtheta, -alpha * grads["alpha"], rtol=1e-10)
    np.testing.assert_allclose(dgamma, -beta * grads["beta"], rtol=1e-10)


def test_an_input_of_probability_0_neither_inhibits_nor_makes_nan():
    u = np.array([[np.inf, 0.5]])
    w, cache = surprisal_graph(u, u, np.zeros(2), np.ones((2, 2)))
    np.testing.assert_array_equal(probability(w)[0, 0], 0)
    assert w[0, 1] == pytest.approx(0.5 + float(conjugate_complement(np.float64(1.5))))
    assert all(np.isfinite(d).all() for d in surprisal_graph_backward(np.ones((1, 2)), cache))


# ---- both backends, both dtypes


def on_graph(u, v, theta, gamma):
    w, cache = surprisal_graph(u, v, theta, gamma)
    return w, *surprisal_graph_backward(w, cache)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (surprisal, [(3, 2)]),
        (probability, [(3, 2)]),
        (conjugate_complement, [(3, 2)]),
        (bose_einstein, [(3, 2)]),
        (surprisal_synapse, [(3, 2), (2,), (3, 1), ()]),
        (surprisal_synapse_gradient, [(3, 2), (2,), (3, 1), ()]),
        (surprisal_synapse_hessian, [(3, 2), (2,), (3, 1), ()]),
        (on_graph, [(3, 2), (3, 4), (2,), (2, 4)]),
    ],
)
def test_a_device_computes_the_same_and_float32_stays_float32(f, shapes, dtype):
    device = strict_device.backend()
    rng = np.random.default_rng(5)
    arguments = [rng.uniform(0.1, 2, shape).astype(dtype) for shape in shapes]
    before = [a.copy() for a in arguments]
    host, there = f(*arguments), f(*map(device.asarray, arguments))
    if f is not on_graph:
        host, there = [host], [there]
    for a, b in zip(host, there, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_array_equal(device.to_host(b), a)
    for a, b in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_python_number_where_an_array_is_needed_is_refused():
    for f in (surprisal, probability, conjugate_complement, bose_einstein):
        with pytest.raises(TypeError, match="got float"):
            f(0.5)
