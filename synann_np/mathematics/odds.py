"""The swap equation: exchanging the two inputs of a synapse compares their odds.

    S(x, y; 1, 1) / S(y, x; 1, 1) = x (1 − y) / (y (1 − x)) = [x / (1 − x)] / [y / (1 − y)]

is the odds ratio of x and y, and S(x, y; 1, 1) − S(y, x; 1, 1) = x − y their difference. In surprisal space the ratio
is a difference, log odds ratio = LS(v, u) − LS(u, v). Source: Chang Li, 2017 and 2018.

For a 2×2 table of counts [[a, b], [c, d]] the sample odds ratio is a d / (b c): the same, with x = a / (a + c) and
y = b / (b + d), or with x = a / (a + b) and y = c / (c + d); which of the two was sampled does not matter.

Arrays of any shape, on either backend, float32 staying float32.
"""

from statistics import NormalDist

import numpy as np

from ..backend import Array, array_module
from .synapse_function import synapse

# 1/0 = ∞ is the answer at the ends, and 0/0 = NaN where there is none.
_ends = np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore")


@_ends
def odds(p: Array) -> Array:
    """p / (1 − p); p in [0, 1] (not checked). odds(1) = ∞."""
    return p / (1 - p)


@_ends
def log_odds(p: Array) -> Array:
    """log(p / (1 − p)) = log p − log(1 − p), in nats; p in [0, 1] (not checked), −∞ at 0 and ∞ at 1."""
    xp = array_module(p)
    return xp.log(p) - xp.log1p(-p)


@_ends
def odds_ratio(x: Array, y: Array) -> Array:
    """odds(x) / odds(y), computed as the quotient of a synapse and its swap, S(x, y) / S(y, x).

    Arguments: x, y: probabilities in [0, 1] (not checked) that broadcast.

    Returns: 0 if x = 0 or y = 1; ∞ if y = 0 or x = 1; NaN at x = y = 0 and x = y = 1, where there are no odds to
    compare.
    """
    return synapse(x, y) / synapse(y, x)


@_ends
def table_odds_ratio(table: Array, correction: float = 0.0) -> Array:
    """Sample odds ratio a d / (b c) of 2×2 tables [[a, b], [c, d]].

    Arguments:
        table (..., 2, 2): counts ≥ 0, any numeric dtype (integers are computed in float64), or nested lists.
        correction: added to every cell. 0.5 is the Haldane–Anscombe correction: finite for zero cells, less biased.

    Returns:
        (...): ∞ where b c = 0 < a d, 0 where a d = 0 < b c, NaN where both are 0, which is where a row or a column is
        empty and the table says nothing.

    Raises: ValueError if the last two axes are not (2, 2), a host table has a negative count, or correction < 0.
    """
    cells = _cells(table, correction)
    xp = array_module(cells[0])
    (a, i), (b, j), (c, k), (d, l) = (xp.frexp(cell) for cell in cells)  # a cell is a · 2^i, |a| in [1/2, 1)
    return xp.ldexp(a * d / (b * c), i + l - j - k)  # no product overflows or underflows on the way


def odds_ratio_interval(table: Array, confidence: float = 0.95, correction: float = 0.0) -> tuple[Array, Array]:
    """Woolf's interval of the odds ratio (1955; the logit interval): exp(log OR ± z √(1/a + 1/b + 1/c + 1/d)).

    Arguments: table, correction: as of table_odds_ratio. confidence: of the two-sided interval, 0 < confidence < 1.

    Returns: low (...), high (...). With a zero cell the standard error is infinite and the interval is (0, ∞), nothing
    is excluded; use correction=0.5, or an exact method.

    Raises: ValueError as table_odds_ratio, or if confidence is not in (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"odds_ratio_interval: expected 0 < confidence < 1, got {confidence}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return _interval(_cells(table, correction), z)


@_ends
def _interval(cells, z):
    a, b, c, d = cells
    xp = array_module(a)
    reach = z * xp.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    known = xp.isfinite(reach)
    log_ratio = xp.where(known, xp.log(a) + xp.log(d) - xp.log(b) - xp.log(c), 0.0)  # ∞ − ∞ would be NaN
    return xp.exp(log_ratio - reach), xp.exp(log_ratio + reach)


def _cells(table, correction):
    """The four counts as floats (...), checked."""
    if isinstance(table, list | tuple):
        table = np.asarray(table)
    xp = array_module(table)
    if table.shape[-2:] != (2, 2):
        raise ValueError(f"expected 2×2 tables, an array (..., 2, 2), got {tuple(table.shape)}")
    if not correction >= 0:
        raise ValueError(f"expected correction >= 0, got {correction}")
    if xp is np and (table < 0).any():  # asking a device would wait for it
        raise ValueError(f"counts cannot be negative, got {table.min()}")
    table = table + float(correction)  # integers become float64, whose products do not overflow
    return table[..., 0, 0], table[..., 0, 1], table[..., 1, 0], table[..., 1, 1]
