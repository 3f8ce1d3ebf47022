"""The minimiser: the same minimum from anywhere, on the boundary and off it, and a loss that never rises."""

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")

from scipy.optimize import minimize

from synann_np.risk import CausalGate
from synann_np.risk.likelihood import Likelihood
from synann_np.risk.minimum import LAMBDA_MOST, LEAK_LEAST, minimum
from synann_np.risk.terms import Terms


def doses(X):
    none = np.empty(0, dtype=np.int64)
    return Terms(X, none, none, np.empty(0), np.empty(0))


@pytest.fixture(params=[0, 2], ids=["causes", "preventers"])
def likelihood(request, rng):
    X, Z = (rng.random((80, 3)) < 0.5).astype(float), (rng.random((80, request.param)) < 0.5).astype(float)
    p = (1 - 0.9 * np.prod(1 - [0.7, 0.3, 0] * X, axis=1)) * np.prod(1 - 0.6 * Z, axis=1)
    return Likelihood(doses(X), doses(Z), rng.random(80) < p, np.ones(80), np.ones(80), prior=0.5)


@pytest.mark.parametrize("start", [1e-9, 1e-3, 0.3, 3.0, 17.0])
def test_the_minimum_is_reached_from_far_away(likelihood, start):
    size = len(likelihood.linear)
    loss, theta = minimum(likelihood, np.full(size, start), np.full(size, LAMBDA_MOST))
    bounds = [(LEAK_LEAST, LAMBDA_MOST)] * size
    best = minimize(likelihood, np.full(size, 0.3), jac=True, method="L-BFGS-B", bounds=bounds)
    assert loss == pytest.approx(best.fun, abs=2e-5)
    assert (theta >= 0).all()


def test_few_passes_suffice_where_the_first_step_throws_the_leak_to_0(monkeypatch):
    """Without a limit on its fall it comes back from 0 by one factor 2 a step, with 25 passes."""
    rng = np.random.default_rng(0)
    X = (rng.random((1000, 10)) < rng.uniform(0.05, 0.5, 10)).astype(float)
    beta = rng.uniform(0.01, 0.2, 10) * (np.arange(10) % 5 > 0)
    y = rng.random(1000) < 1 - 0.95 * np.prod(1 - beta * X, axis=1)
    passes = []
    plain = Likelihood.__call__

    def counting(self, theta):
        passes.append(theta)
        return plain(self, theta)

    monkeypatch.setattr(Likelihood, "__call__", counting)
    CausalGate().fit(X, y)
    assert len(passes) < 15


def test_a_fixed_parameter_stays_and_the_others_adapt(likelihood):
    size = len(likelihood.linear)
    most = np.full(size, LAMBDA_MOST)
    free, _ = minimum(likelihood, np.full(size, 0.3), most)
    loss, theta = minimum(likelihood, np.full(size, 0.3), most, {1: 2.5})
    assert theta[1] == 2.5
    assert loss > free
    gradient = likelihood(theta)[1]
    inside = (theta > 1e-6) & (np.arange(size) != 1)
    np.testing.assert_allclose(gradient[inside], 0, atol=1e-3)


def test_the_loss_never_rises_from_step_to_step():
    """A loss whose Newton step overshoots: √(1 + 25 (θ − 3)²), whose curvature vanishes far from the minimum."""

    class Overshooting:
        def __init__(self):
            self.losses = []

        def __call__(self, theta):
            root = np.sqrt(1 + 25 * (theta - 3) ** 2)
            return float(root.sum()), 25 * (theta - 3) / root

        def curvature(self, theta):
            root = np.sqrt(1 + 25 * (theta - 3) ** 2)
            self.losses.append(float(root.sum()))
            return np.diag(25 / root**3)

    likelihood = Overshooting()
    loss, theta = minimum(likelihood, np.array([5.0, 6.0]), np.full(2, LAMBDA_MOST))
    assert (np.diff(likelihood.losses) < 0).all()
    assert loss == pytest.approx(2, abs=1e-6)
    np.testing.assert_allclose(theta, 3, atol=1e-3)
