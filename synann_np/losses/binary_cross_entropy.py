"""Cross-entropy of yes-or-no questions, from logits."""

from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..layers.logistic import logistic
from .row_weights import row_weights, sum_of_row_weights, total_weight
from .same_shape import check_same_shape


@np.errstate(under="ignore")  # e^−|z| that underflows is 0
def binary_cross_entropy_with_logits(
    logits: Array, targets: Array, *, sample_weights: Array = None
) -> tuple[Any, Array]:
    """L = −(1/S) Σ_n s_n (1/D) Σ_d [ t_nd log σ(z_nd) + (1 − t_nd) log(1 − σ(z_nd)) ], with σ(z) = 1/(1 + e^−z).

    d runs over all axes but the first, D elements; S = Σ_n s_n; without weights s_n = 1. Since log σ(z) = z − log(1 +
    e^z) and log(1 − σ(z)) = −log(1 + e^z), an element is log(1 + e^z) − t z, computed so that no exponential overflows:

        max(z, 0) − t z + log(1 + e^−|z|)            dz_nd = s_n (σ(z_nd) − t_nd) / (S D)

    Arguments:
        logits z, targets t: (N, ...), of one shape, floats; t in 0..1. sample_weights s: (N,), not negative.

    Returns: loss (a scalar of the backend), dlogits (N, ...).

    Raises: ValueError for shapes that differ (they are never broadcast), an empty batch or, on the host, targets
        outside 0..1; TypeError for other dtypes.
    """
    who = "binary_cross_entropy_with_logits"
    check_same_shape(who, logits, targets)
    xp = array_module(logits)
    if xp is np and not (targets.min() >= 0 and targets.max() <= 1):
        raise ValueError(f"{who}: expected targets in 0..1, got {targets.min()}..{targets.max()}")
    elements = xp.maximum(logits, 0) - targets * logits + xp.log1p(xp.exp(-xp.abs(logits)))
    s = row_weights(who, sample_weights, logits)
    scale = (s / (total_weight(s) * (logits.size // len(s)))).reshape(-1, *[1] * (logits.ndim - 1))
    return (scale * elements).sum(), scale * (logistic(logits)[0] - targets)


binary_cross_entropy_with_logits.targets = "values"
binary_cross_entropy_with_logits.batch_weight = sum_of_row_weights
