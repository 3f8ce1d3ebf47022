"""Cross-entropy of units that fire or not, from their surprisals."""

from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..mathematics.surprisal import bose_einstein, conjugate_complement
from .row_weights import row_weights, sum_of_row_weights, total_weight
from .same_shape import check_same_shape


@np.errstate(under="ignore")
def surprisal_loss(surprisals: Array, targets: Array, *, sample_weights: Array = None) -> tuple[Any, Array]:
    """Cross-entropy in surprisal space: L = (1/S) Σ_n s_n Σ_i [ t_ni u_ni + (1 − t_ni) G(u_ni) ].

    u_ni = −log y_ni is the surprisal of unit i's firing, G(u) = −log(1 − e^−u) that of its silence (mathematics/
    surprisal.py), so this is the cross-entropy −[t log y + (1 − t) log(1 − y)] of the paper (Li, 2018), without a
    logarithm or an exponential of the network's output on the side that happened. The sum runs over the units, the
    weighted mean over the samples; S = Σ_n s_n. Since G′(u) = −n(u), minus the Bose–Einstein distribution,

        du_ni = s_n [ t_ni − (1 − t_ni) n(u_ni) ] / S

    Arguments:
        surprisals u: (N, n) ≥ 0, floats. targets t: (N, n), the same dtype, in 0..1: 1 where unit i should fire.
        sample_weights s: (N,), not negative.

    Returns: loss (a scalar of the backend; infinite where what was impossible happened), dsurprisals (N, n).

    Raises: ValueError for shapes that differ, an empty batch or, on the host, surprisals below 0 (logarithms of
        probabilities: turn the sign) or targets outside 0..1; TypeError for other dtypes.
    """
    check_same_shape("surprisal_loss", surprisals, targets)
    xp = array_module(surprisals)
    if xp is np and not (targets.min() >= 0 and targets.max() <= 1):
        raise ValueError(f"surprisal_loss: expected targets in 0..1, got {targets.min()}..{targets.max()}")
    if xp is np:
        check_surprisals(surprisals)
    silent = targets < 1  # where t = 1, the pole of G and n at u = 0 does not count: 0 ∞ would be NaN
    fires, u = xp.where(targets > 0, surprisals, 0), xp.where(silent, surprisals, 1)
    elements = targets * fires + (1 - targets) * xp.where(silent, conjugate_complement(u), 0)
    s = row_weights("surprisal_loss", sample_weights, surprisals)
    scale = (s / total_weight(s)).reshape(-1, *[1] * (surprisals.ndim - 1))
    du = targets - (1 - targets) * xp.where(silent, bose_einstein(u), 0)
    return (scale * elements).sum(), scale * du


def check_surprisals(outputs: Array) -> None:
    """Refuse outputs, a host array, below 0. Raises: ValueError."""
    if outputs.min() < 0:
        raise ValueError(
            f"surprisal_loss: expected surprisals −log y, which are 0 or more, got {outputs.min():.3g}: "
            "logarithms of probabilities have the other sign"
        )


surprisal_loss.targets = "values"
surprisal_loss.batch_weight = sum_of_row_weights
surprisal_loss.check_outputs = check_surprisals
