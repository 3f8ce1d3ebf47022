"""The synapse function: derivatives by SymPy and by differences, identities over random and extreme values."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strict_device
from synann_np.gradcheck import numeric_gradient
from synann_np.mathematics.synapse_function import synapse, synapse_gradient, synapse_hessian

sp = pytest.importorskip("sympy")

EXTREMES = [0.0, 5e-324, 1e-300, 1e-16, 0.5, 1 - 2**-53, 1.0]
unit = st.one_of(st.sampled_from(EXTREMES), st.floats(0, 1))
positive = st.floats(1e-3, 1e3)
SYMBOLS = sp.symbols("x y alpha beta", positive=True)


def symbolic_synapse(x, y, alpha, beta):
    return alpha * x * (1 - beta * y)


@pytest.fixture
def points():
    """Four arrays whose shapes all differ and broadcast to (3, 2, 5)."""
    rng = np.random.default_rng(3)
    return [rng.uniform(0.05, 0.95, shape) for shape in [(3, 1, 5), (2, 5), (), (2, 1)]]


def test_value_gradient_and_hessian_are_those_that_sympy_derives(points):
    S = symbolic_synapse(*SYMBOLS)
    at_points = np.broadcast_arrays(*points)

    def numbers(expression):
        return np.broadcast_to(sp.lambdify(SYMBOLS, expression)(*at_points), (3, 2, 5))

    np.testing.assert_allclose(synapse(*points), numbers(S), rtol=1e-13)
    gradient, hessian = synapse_gradient(*points), synapse_hessian(*points)
    assert gradient.shape == (3, 2, 5, 4)
    assert hessian.shape == (3, 2, 5, 4, 4)
    for k, p in enumerate(SYMBOLS):
        np.testing.assert_allclose(gradient[..., k], numbers(sp.diff(S, p)), rtol=1e-13)
        for l, r in enumerate(SYMBOLS):
            np.testing.assert_allclose(hessian[..., k, l], numbers(sp.diff(S, p, r)), rtol=1e-13, atol=1e-15)


def test_derivatives_agree_with_differences():
    p = np.array([0.3, 0.8, 1.7, 0.6])
    gradient, hessian = synapse_gradient(*p), synapse_hessian(*p)
    np.testing.assert_allclose(gradient, numeric_gradient(lambda: float(synapse(*p)), p), rtol=1e-8)
    for k in range(4):
        numeric = numeric_gradient(lambda k=k: float(synapse_gradient(*p)[k]), p)
        np.testing.assert_allclose(hessian[k], numeric, rtol=1e-8, atol=1e-9)


@settings(deadline=None, max_examples=100)
@given(unit, unit, positive, unit)
def test_swapping_the_inputs_leaves_alpha_times_their_difference(x, y, alpha, beta):
    difference = synapse(x, y, alpha, beta) - synapse(y, x, alpha, beta)
    assert difference == pytest.approx(alpha * (x - y), rel=1e-12, abs=alpha * 1e-15)


def test_the_swap_difference_and_the_swap_quotient_symbolically():
    x, y, alpha, beta = SYMBOLS
    S = symbolic_synapse
    assert sp.expand(S(x, y, alpha, beta) - S(y, x, alpha, beta) - alpha * (x - y)) == 0
    assert sp.simplify(S(x, y, 1, 1) / S(y, x, 1, 1) - (x / (1 - x)) / (y / (1 - y))) == 0


@settings(deadline=None, max_examples=100)
@given(unit, unit, st.floats(1e-3, 1), unit)
def test_a_synapse_of_probabilities_is_a_probability_and_inhibition_only_lowers_it(x, y, alpha, beta):
    s = synapse(x, y, alpha, beta)
    assert 0 <= s <= alpha * x
    assert synapse(x, min(1.0, y + 0.1), alpha, beta) <= s


@settings(deadline=None, max_examples=100)
@given(*[st.floats(1e-6, 1)] * 4, positive, st.floats(0, 0.999))
def test_log_of_the_synapse_is_concave(x1, y1, x2, y2, alpha, beta):
    ends = math.log(synapse(x1, y1, alpha, beta)) + math.log(synapse(x2, y2, alpha, beta))
    middle = math.log(synapse((x1 + x2) / 2, (y1 + y2) / 2, alpha, beta))
    assert middle >= ends / 2 - 1e-12


def test_the_hessian_of_the_logarithm_is_negative_and_diagonal_symbolically():
    x, y, _, beta = SYMBOLS
    hessian = sp.hessian(sp.log(symbolic_synapse(*SYMBOLS)), (x, y))
    expected = sp.diag(-1 / x**2, -(beta**2) / (1 - beta * y) ** 2)
    assert sp.simplify(hessian - expected) == sp.zeros(2)


@pytest.mark.parametrize(("x", "y"), list(itertools.product([0, 1], repeat=2)))
def test_the_boolean_corner_is_x_and_not_y_and_makes_all_gates(x, y):
    assert synapse(x, y) == (x and not y)

    def NOT(a):
        return synapse(1, a)

    assert NOT(x) == (not x)
    assert synapse(x, NOT(y)) == (x and y)
    assert NOT(synapse(NOT(x), y)) == (x or y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_ends_of_the_intervals_are_exact(dtype):
    x, y = np.array([0, 1, 1, 0.25], dtype), np.array([0.5, 1, 0, 0], dtype)
    np.testing.assert_array_equal(synapse(x, y), [0, 0, 1, 0.25])
    np.testing.assert_array_equal(synapse_gradient(x, y)[0], [0.5, 0, 0, 0])
    np.testing.assert_array_equal(synapse_gradient(x, y)[1], [0, -1, 0, -1])
    tiny = np.full(3, np.finfo(dtype).smallest_subnormal)
    assert (synapse(tiny, tiny, tiny) == 0).all()  # underflow, silently


def test_float32_stays_float32_and_inputs_are_not_modified():
    x = np.full((2, 3), 0.5, np.float32)
    y = np.full(3, 0.25, np.float32)
    before = x.copy(), y.copy()
    for f in (synapse, synapse_gradient, synapse_hessian):
        assert f(x, y).dtype == np.float32
        assert f(x, 0.25, 2.0, y).dtype == np.float32
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_derivatives_refuse_what_they_cannot_shape():
    with pytest.raises(TypeError, match="expected a NumPy or CuPy array, got float"):
        synapse_gradient(0.5, 0.5)
    with pytest.raises(ValueError, match="broadcast"):
        synapse_hessian(np.ones(2), np.ones(3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("f", [synapse, synapse_gradient, synapse_hessian])
def test_a_device_computes_the_same(f, dtype, points):
    device = strict_device.backend()
    points = [p.astype(dtype) for p in points]
    result = f(*map(device.asarray, points))
    assert result.dtype == dtype
    np.testing.assert_array_equal(device.to_host(result), f(*points))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "bool"])
def test_integers_are_computed_as_numbers_and_do_not_wrap(dtype):
    """In bytes, 1 − 2 is 255."""
    x, y = np.array([1, 1, 0, 1], dtype), np.array([0, 1, 1, 2], dtype)
    expected = x.astype("float64") * (1 - y.astype("float64"))
    np.testing.assert_array_equal(synapse(x, y, 1, 1), expected)
    np.testing.assert_array_equal(synapse_gradient(x, y, 1, 1)[..., 0], 1 - y.astype("float64"))
    np.testing.assert_array_equal(synapse_hessian(x, y, 1, 1)[..., 2, 3], -1.0 * x * y)
