"""The minimum of the likelihood over λ ≥ 0, δ ≥ 0: Newton's method, each step a non-negative least squares problem.

Near θ the loss is about L + gᵀ d + ½ dᵀ H d for a step d, with the gradient g and the curvature H. With v = θ + d − low
and H = Rᵀ R its minimum over v ≥ 0 is that of

    ‖R v − b‖²,    Rᵀ b = H (θ − low) − g

which SciPy's nnls solves exactly, by an active set; parameters on the boundary are found there, and left there, without
a rule of our own. The step is halved until the loss falls. Newton's method needs few steps whatever the scales and
correlations of the columns, and the leak is correlated with all of them; that is why it is here and not L-BFGS-B.

The predicted gain of a step, −(gᵀ d + ½ dᵀ H d), is in nats, so where it is below TOLERANCE no estimate would move by
more than √(2 TOLERANCE) standard errors.
"""

from collections.abc import Iterable

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from .likelihood import Likelihood

LEAK_LEAST = 1e-9  # at 0 an event in someone exposed to nothing would be infinitely surprising
LEAK_FALL = 20.0  # in one step: from near 0, where −log leak is steep, Newton's way back is one factor 2 a step
LAMBDA_MOST = 18.0  # β = 1 − 1.5e−8, which counts as 1: no data can tell them apart
TOLERANCE = 1e-9
STEPS = 200
RIDGE = 1e-10  # relative to the diagonal: directions without curvature get finite steps


def minimum(
    likelihood: Likelihood, start: np.ndarray, most: np.ndarray, fixed: dict[int, float] | None = None
) -> tuple[float, np.ndarray]:
    """Loss and θ (P,) at the minimum. most: (P,), the largest θ allowed. fixed: parameters that stay at a value."""
    low = np.zeros(len(start))
    low[0] = LEAK_LEAST
    theta, free = np.clip(start, low, most), np.ones(len(start), bool)
    for place, value in (fixed or {}).items():
        theta[place], free[place] = max(value, low[place]), False
    loss, gradient = likelihood(theta)
    for _ in range(STEPS):
        curvature = likelihood.curvature(theta)
        low[0] = max(LEAK_LEAST, theta[0] / LEAK_FALL)
        step = np.zeros(len(theta))
        step[free] = _step(gradient[free], curvature[np.ix_(free, free)], (theta - low)[free])
        gain = -(gradient @ step + step @ curvature @ step / 2)
        if not gain > TOLERANCE:
            break
        for _ in range(40):
            trial = np.clip(theta + step, low, most)
            trial_loss, trial_gradient = likelihood(trial)
            if trial_loss < loss:
                break
            step /= 2
        else:
            break  # the loss is as low as float64 can tell
        theta, loss, gradient = trial, trial_loss, trial_gradient
    return loss, theta


def _step(gradient, curvature, above):
    """The step from `above` ≥ 0 to the minimum of the quadratic model over non-negative places."""
    scale = 1 / np.sqrt(np.maximum(curvature.diagonal(), 1e-300))
    H = curvature * np.outer(scale, scale)
    H[np.diag_indices_from(H)] += RIDGE
    R = cholesky(H)
    b = solve_triangular(R, H @ (above / scale) - gradient * scale, trans="T")
    return nnls(R, b)[0] * scale - above


def best_minimum(likelihood: Likelihood, starts: Iterable[np.ndarray], most: np.ndarray) -> tuple[float, np.ndarray]:
    """The lowest of the minima from several starts: with preventers the loss is not convex."""
    return min((minimum(likelihood, start, most) for start in starts), key=lambda found: found[0])
