"""The loss of the gate against products of probabilities; gradient, curvature, information against differences."""

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")

from risk import plain_gate
from synann_np.risk.likelihood import Likelihood, Rows, information
from synann_np.risk.terms import Terms

N, M, K = 13, 4, 3


def terms(rng, width, chances=0):
    """Doses, some 0, some above 1, and a few uncertain cells."""
    doses = rng.uniform(0, 2, (N, width)) * (rng.random((N, width)) < 0.6)
    rows, columns = np.divmod(rng.choice(N * width, chances, replace=False), max(width, 1))
    order = np.argsort(rows, kind="stable")
    rows, columns = rows[order], columns[order]
    doses[rows, columns] = 0
    return Terms(doses, rows, columns, rng.uniform(0.1, 0.9, chances), np.ones(chances))


def with_exposure(causes, exposure):
    return Terms(causes.doses * exposure[:, None], causes.rows, causes.columns, causes.chances, exposure[causes.rows])


CASES = {
    "causes": {"K": 0},
    "causes, prior": {"K": 0, "prior": 0.7, "leak_prior": 0.3},
    "causes, uncertain": {"K": 0, "chances": 9},
    "preventers": {"K": K},
    "preventers, uncertain, prior": {"K": K, "chances": 6, "prior": 1.3, "leak_prior": 0.2},
    "sampling": {"K": 0, "ratio": 6.0},
    "preventers, sampling": {"K": K, "ratio": 0.25, "chances": 5},
}


@pytest.fixture(params=CASES, ids=str)
def case(request, rng):
    options = {"K": 0, "chances": 0, "prior": 0.0, "leak_prior": 0.0, "ratio": 1.0} | CASES[request.param]
    width, chances = options.pop("K"), options.pop("chances")
    exposure, weight = rng.uniform(0.5, 2, N), rng.uniform(0.2, 3, N)
    plain = terms(rng, M, chances)
    causes, preventers = with_exposure(plain, exposure), terms(rng, width, min(chances, N * width))
    y = rng.random(N) < 0.4
    y[:2] = True, False
    theta = rng.uniform(0.1, 1, 1 + M + width)
    likelihood = Likelihood(causes, preventers, y, weight, exposure, **options)
    return likelihood, (plain, causes, preventers, y, weight, exposure), theta, options


def persons(part):
    """Doses and ("chance", π) of every row, as lists."""
    rows = [list(map(float, row)) for row in part.doses]
    for i, j, chance in zip(part.rows, part.columns, part.chances, strict=True):
        rows[i][j] = ("chance", float(chance))
    return rows


def test_the_loss_is_that_of_products_of_probabilities(case):
    likelihood, (plain, _, preventers, y, weight, exposure), theta, options = case
    beta = -np.expm1(-theta)
    people = zip(persons(plain), persons(preventers), exposure, strict=True)
    p = np.array([plain_gate.probability(beta[0], beta[1 : M + 1], beta[M + 1 :], x, z, e) for x, z, e in people])
    expected = plain_gate.loss(p, y, weight, options["ratio"])
    assert likelihood.data_loss(theta)[0] == pytest.approx(expected, rel=1e-12)
    rate = weight[y].sum() / weight.sum()
    leak = -options["leak_prior"] * (rate * np.log(beta[0]) + (1 - rate) * np.log(1 - beta[0]))
    assert likelihood(theta)[0] == pytest.approx(expected + options["prior"] * theta[1:].sum() + leak, rel=1e-12)


def differences(function, theta, step=1e-6):
    """Central differences of a function of θ, one column a parameter."""
    columns = []
    for k in range(len(theta)):
        move = np.zeros(len(theta))
        move[k] = step
        columns.append((np.asarray(function(theta + move)) - np.asarray(function(theta - move))) / (2 * step))
    return np.stack(columns, axis=-1)


def test_the_gradient_equals_differences(case):
    likelihood, _, theta, _ = case
    np.testing.assert_allclose(likelihood(theta)[1], differences(lambda t: likelihood(t)[0], theta), rtol=1e-7)


def test_the_curvature_is_exact_without_preventers_and_never_negative(case):
    likelihood, (_, causes, preventers, *_), theta, options = case
    H = likelihood.curvature(theta)
    np.testing.assert_array_equal(H, H.T)
    assert np.linalg.eigvalsh(H).min() > -1e-9 * np.abs(H).max()
    if not preventers.doses.shape[1] and not len(causes.rows) and options["ratio"] == 1:
        np.testing.assert_allclose(H, differences(lambda t: likelihood(t)[1], theta), rtol=1e-6, atol=1e-7)


def test_the_information_is_the_variance_of_the_score(case):
    """I = Σ_i Σ_y P(y) g gᵀ, g the gradient of one person with outcome y; and it is the expected second derivative."""
    _, (_, causes, preventers, _, weight, exposure), theta, options = case
    ratio = options["ratio"]
    expected, second = np.zeros((2, len(theta), len(theta)))
    for i in range(N):
        one = np.array([i])
        parts = causes.take(one), preventers.take(one)
        p = np.exp(-Rows(*parts, exposure[one], np.ones(1), True).surprisals(theta)[2][0])
        q = ratio * p / (1 + (ratio - 1) * p)
        for y, chance in ((True, q), (False, 1 - q)):
            likelihood = Likelihood(*parts, np.array([y]), np.ones(1), exposure[one], ratio=ratio)
            g = likelihood(theta)[1]
            expected += weight[i] * chance * np.outer(g, g)
            second += weight[i] * chance * differences(lambda t, f=likelihood: f(t)[1], theta)
    I = information(Rows(causes, preventers, exposure, weight, True), theta, ratio)
    np.testing.assert_allclose(I, expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(I, second, rtol=1e-5, atol=1e-6)


def test_without_preventers_the_expected_information_in_s_is_the_bose_einstein_distribution(rng):
    causes, none = Terms(*_one_leak(5)), Terms(*_one_leak(5))
    weight, lam = rng.uniform(1, 2, 5), 0.8
    I = information(Rows(causes, none, np.ones(5), weight, True), np.array([lam]))
    assert I[0, 0] == pytest.approx(weight.sum() / np.expm1(lam), rel=1e-12)


def _one_leak(people):
    none = np.empty(0, dtype=np.int64)
    return np.empty((people, 0)), none, none, np.empty(0), np.empty(0)


def test_extreme_parameters_stay_finite(case):
    likelihood, _, theta, _ = case
    for value in (1e-9, 36.0):
        loss, gradient = likelihood(np.full_like(theta, value))
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()
        assert np.isfinite(likelihood.curvature(np.full_like(theta, value))).all()
