"""Mean squared error."""

from typing import Any

from ..backend import Array
from .row_weights import row_weights, sum_of_row_weights, total_weight
from .same_shape import check_same_shape


def mse_loss(outputs: Array, targets: Array, *, sample_weights: Array = None) -> tuple[Any, Array]:
    """L = (1/S) Σ_n s_n (1/D) Σ_d (y_nd − t_nd)², with S = Σ_n s_n; without weights the mean over all elements.

    d runs over all axes but the first, D elements. Gradient: dy_nd = 2 s_n (y_nd − t_nd) / (S D).

    Arguments:
        outputs y, targets t: (N, ...), of one shape, floats. sample_weights s: (N,), not negative.

    Returns: loss (a scalar of the backend), doutputs (N, ...).

    Raises: ValueError for shapes that differ (they are never broadcast) or an empty batch, TypeError for other dtypes.
    """
    check_same_shape("mse_loss", outputs, targets)
    difference = outputs - targets
    if sample_weights is None:
        return (difference * difference).mean(), difference * (2 / difference.size)
    s = row_weights("mse_loss", sample_weights, outputs)
    scaled = difference * (s / (total_weight(s) * (difference.size // len(s)))).reshape(-1, *[1] * (outputs.ndim - 1))
    return (scaled * difference).sum(), 2 * scaled


mse_loss.targets = "values"
mse_loss.batch_weight = sum_of_row_weights
