"""Negative log likelihood of soft labels: a probability of each class in the place of one class."""

from typing import Any

import numpy as np

from ..backend import Array, array_module
from .negative_log_likelihood import check_log_probs
from .row_weights import row_weights, sum_of_row_weights, total_weight
from .same_shape import check_same_shape


def soft_nll_loss(log_probs: Array, targets: Array, *, sample_weights: Array = None) -> tuple[Any, Array]:
    """Cross-entropy of two distributions: L = −(1/S) Σ_n s_n Σ_k t_nk log_probs_nk, with S = Σ_n s_n.

    PyTorch's cross_entropy with probabilities as targets, after the log-softmax. With t_nk = δ_k,labels_n it is
    nll_loss. Its gradient:

        dlog_probs_nk = −s_n t_nk / S

    Arguments:
        log_probs: (N, K), float32 or float64, logarithms of probabilities: the output of LogSoftmax.
        targets t: (N, K), the same dtype, not negative: a row is a distribution over the classes.
        sample_weights s: (N,), not negative.

    Returns: loss (a scalar of the backend), dlog_probs (N, K).

    Raises: ValueError for shapes that differ, an empty batch or, on the host, targets that are negative or NaN;
        TypeError for other dtypes.
    """
    check_same_shape("soft_nll_loss", log_probs, targets)
    xp = array_module(log_probs)
    if xp is np and not targets.min() >= 0:
        raise ValueError(f"soft_nll_loss: expected targets that are probabilities, got {targets.min()}")
    s = row_weights("soft_nll_loss", sample_weights, log_probs)
    dlog_probs = -(s / total_weight(s))[:, None] * targets
    # L is linear in log_probs, and 0 log 0 counts as 0.
    return (dlog_probs * xp.where((dlog_probs != 0) | (log_probs != -np.inf), log_probs, 0)).sum(), dlog_probs


soft_nll_loss.targets = "values"
soft_nll_loss.check_outputs = check_log_probs
soft_nll_loss.batch_weight = sum_of_row_weights
