"""The logistic function, where a layer squashes with it and where a parameter is kept in (0, 1) by it."""

import numpy as np

from ..backend import Array, array_module


@np.errstate(under="ignore")  # far from 0, what underflows is 0
def logistic(x: Array) -> Array:
    """σ(x) = 1 / (1 + e^−x) and its derivative σ′(x) = σ(x) (1 − σ(x)), element by element.

    With e = e^−|x|, which never overflows, σ is 1/(1 + e) for x ≥ 0 and e/(1 + e) for x < 0; σ′ = e / (1 + e)² on both
    sides, exact to the last digits where 1 − σ(x) has none left.
    """
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, e) / (1 + e), e / (1 + e) ** 2
