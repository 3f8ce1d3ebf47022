"""Confidence intervals by the profile likelihood.

The profile of parameter k at v is the least loss with θ_k = v, all others free. By Wilks' theorem twice its rise above
the minimum is χ² with one degree of freedom, so the values of v with

    L(θ_k = v) − L(θ̂) ≤ χ²_1(level) / 2

are a confidence interval. It respects β in [0, 1], does not depend on how β is written, and at the edge β = 0, where
the estimate ± z standard errors fails badly, its coverage stays near the level or above.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2

from .minimum import LEAK_LEAST, minimum


def profile_interval(
    likelihood: Callable,
    loss: float,
    theta: np.ndarray,
    scale: np.ndarray,
    most: np.ndarray,
    place: int,
    level: float,
) -> tuple[float, float]:
    """The interval of θ_place. The upper end is `most` where the data do not bound it.

    Arguments: loss, theta: of the minimum. scale: (P,), standard errors, to size steps. most: as of minimum. level: in
    (0, 1).
    """
    cut = np.sqrt(chi2.ppf(level, 1) / 2)
    nearest = {"theta": theta}
    known = {float(theta[place]): -cut}  # brentq asks for the ends again

    def excess(value):
        """Root of the rise, minus its limit: nearly linear in value."""
        if value in known:
            return known[value]
        # Lifted off 0, where the slope is infinite if only the fixed parameter had explained somebody's event.
        start = nearest["theta"] + 0.1 * scale
        profile, nearest["theta"] = minimum(likelihood, start, most, {place: value})
        known[value] = np.sqrt(max(profile - loss, 0.0)) - cut
        return known[value]

    def end(inner, outer):
        """The crossing between a value inside of the interval and one outside."""
        return brentq(excess, inner, outer, xtol=1e-3 * scale[place], rtol=1e-8)

    low = 0.0
    if theta[place] > LEAK_LEAST and excess(0.0) > 0:
        low = end(theta[place], 0.0)
    nearest["theta"] = theta
    inner, step = theta[place], 2 * scale[place]
    while inner < most[place]:
        outer = min(inner + step, most[place])
        if excess(outer) > 0:
            return low, end(inner, outer)
        inner, step = outer, 2 * step
    return low, float(most[place])
