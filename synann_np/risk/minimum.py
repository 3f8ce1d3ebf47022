"""The minimum of the likelihood over λ ≥ 0, δ ≥ 0, by SciPy's L-BFGS-B."""

import numpy as np
from scipy.optimize import minimize

from .likelihood import Likelihood

LEAK_LEAST = 1e-12  # at 0 an event in someone exposed to nothing would be infinitely surprising
LAMBDA_MOST = 36.0  # β = 1 − 2e−16


def minimum(
    likelihood: Likelihood,
    start: np.ndarray,
    scale: np.ndarray,
    most: np.ndarray,
    fixed: dict[int, float] | None = None,
) -> tuple[float, np.ndarray]:
    """Loss and θ at the minimum.

    Arguments:
        start: (P,). scale: (P,), roughly the standard errors: the optimiser works in θ / scale, and stops when no step
            promises more than 1e-4 of a standard error. most: (P,), the largest θ allowed.
        fixed: parameters that stay at a value.
    """
    low = np.zeros(len(start))
    low[0] = LEAK_LEAST
    high = most.copy()
    for place, value in (fixed or {}).items():
        low[place] = high[place] = max(value, low[place])
    start = np.clip(start, low, high)

    def scaled(phi):
        loss, gradient = likelihood(phi * scale)
        return loss, gradient * scale

    options = {"maxiter": 2000, "maxfun": 10000, "ftol": 1e-14, "gtol": 1e-4, "maxcor": 20}
    bounds = np.c_[low / scale, high / scale]
    found = minimize(scaled, start / scale, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return float(found.fun), np.clip(found.x * scale, low, high)


def best_minimum(likelihood, starts, scale, most) -> tuple[float, np.ndarray]:
    """The lowest of the minima from several starts: with preventers the loss is not convex."""
    return min((minimum(likelihood, start, scale, most) for start in starts), key=lambda found: found[0])
