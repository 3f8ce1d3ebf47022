"""Negative log likelihood of class labels."""

from typing import Any

import numpy as np

from ..backend import Array, array_module
from .row_weights import check_class_weights, row_weights, total_weight

TOLERANCE = 1e-3  # by which rounding may lift a log probability above 0, or a sum of probabilities off 1


def nll_loss(
    log_probs: Array,
    labels: Array,
    label_smoothing: float = 0.0,
    *,
    class_weights: Array = None,
    sample_weights: Array = None,
    ignore_index: int | None = None,
) -> tuple[Any, Array]:
    """Negative log likelihood, mean over the batch: L = −(1/N) Σ_n log_probs[n, labels_n].

    Its gradient: dlog_probs_nk = −1/N where k = labels_n, else 0.

    With label smoothing ε (Szegedy et al., 2016; as PyTorch's cross_entropy) the target is 1 − ε + ε/K at the label and
    ε/K elsewhere, not 1 and 0, which keeps the network from growing ever more confident:

        L = −(1/N) Σ_n [ (1 − ε) log_probs[n, labels_n] + (ε/K) Σ_k log_probs_nk ]
        dlog_probs_nk = −(1 − ε)/N where k = labels_n, else 0, − ε/(N K) everywhere

    With weights c_k of the classes and s_n of the samples (s_n = 0 where labels_n = ignore_index) it is the weighted
    mean, again as PyTorch's, with w_n = s_n c[labels_n] and W = Σ_n w_n:

        L = −(1/W) Σ_n [ (1 − ε) w_n log_probs[n, labels_n] + (ε/K) s_n Σ_k c_k log_probs_nk ]
        dlog_probs_nk = −(1 − ε) w_n/W where k = labels_n, else 0, − ε s_n c_k/(W K) everywhere

    Arguments:
        log_probs: (N, K), float32 or float64, logarithms of probabilities: the output of LogSoftmax.
        labels: (N,), integers in 0..K−1, on the same backend.
        label_smoothing: ε in 0..1.
        class_weights: (K,), sample_weights: (N,): not negative.
        ignore_index: a label that does not count; any integer.

    Returns: loss (a scalar of the backend, not yet copied to the host), dlog_probs (N, K). Both are 0 for a batch whose
        weights are all 0, or whose labels are all ignored.

    Raises:
        ValueError: shapes do not fit, the batch is empty, ε, a label or a weight is out of range, or a value of
            log_probs is above 0, so they are not logarithms of probabilities. Values on a device are not looked at
            (that would wait for the device): `fit` has checked them.
        TypeError: labels are not integers, or log_probs are no floats.
        FloatingPointError: log_probs holds NaN. Not on a device, for the same reason: there the loss is NaN.
    """
    check_arguments(log_probs, labels, label_smoothing)
    counted = labels
    if ignore_index is not None:
        counted = array_module(labels).where(labels == ignore_index, 0, labels)
    if array_module(log_probs) is np:
        _check_values(log_probs, counted)
    xp, (N, K) = array_module(log_probs), log_probs.shape
    # Products with 0 and 1: a device would copy a number that is assigned at indices from the host.
    is_label = (counted[:, None] == xp.arange(K)).astype(log_probs.dtype)  # (N, K), δ_k,labels_n
    if class_weights is None and sample_weights is None and ignore_index is None:
        loss = -log_probs[xp.arange(N), labels].mean()
        dlog_probs = xp.zeros_like(log_probs)
        dlog_probs -= is_label * ((1 - label_smoothing) / N)
        if label_smoothing:
            loss = (1 - label_smoothing) * loss - label_smoothing * log_probs.mean()
            dlog_probs -= label_smoothing / (N * K)
        return loss, dlog_probs

    c, s, w = _weights(log_probs, labels, counted, class_weights, sample_weights, ignore_index)
    W = total_weight(w)
    dlog_probs = s[:, None] * c * (-label_smoothing / K / W)
    dlog_probs -= is_label * (w * ((1 - label_smoothing) / W))[:, None]
    # L is linear in log_probs, and 0 log 0 counts as 0.
    return (dlog_probs * xp.where((dlog_probs != 0) | (log_probs != -np.inf), log_probs, 0)).sum(), dlog_probs


def sum_of_weights(
    outputs: Array,
    labels: Array,
    label_smoothing: float = 0.0,
    *,
    class_weights: Array = None,
    sample_weights: Array = None,
    ignore_index: int | None = None,
) -> Any:
    """W = Σ_n w_n of nll_loss and cross_entropy, None without weights. Arguments: as theirs."""
    if class_weights is None and sample_weights is None and ignore_index is None:
        return None
    counted = labels if ignore_index is None else array_module(labels).where(labels == ignore_index, 0, labels)
    return _weights(outputs, labels, counted, class_weights, sample_weights, ignore_index)[2].sum()


def check_log_probs(outputs: Array) -> None:
    """Refuse outputs (N, K), a host array, that are not logarithms of probabilities: any above 0, or Σ_k e^outputs ≠ 1.

    Raises: ValueError that says what they look like, and what to do.
    """
    with np.errstate(all="ignore"):
        sums = np.exp(np.minimum(outputs.astype("float64"), 700)).sum(axis=1)
    if outputs.max() <= TOLERANCE and np.all(np.abs(sums - 1) <= TOLERANCE):
        return
    if not np.isnan(outputs).any():
        raise ValueError(_no_log_probs(outputs))


nll_loss.targets = "labels"
nll_loss.check_outputs = check_log_probs
nll_loss.batch_weight = sum_of_weights


def looks_like_probabilities(outputs: Array) -> Any:
    """Whether every row of outputs (N, K), a host array, is a distribution: not negative, and of sum 1."""
    return outputs.min() >= 0 and bool(np.all(np.abs(outputs.sum(axis=1, dtype="float64") - 1) <= TOLERANCE))


def _weights(log_probs, labels, counted, class_weights, sample_weights, ignore_index):
    """c (K,), s (N,) and w (N,) of the docstring of nll_loss; counted: labels without those that are ignored."""
    c = check_class_weights("nll_loss", class_weights, log_probs)
    s = row_weights("nll_loss", sample_weights, log_probs)
    if ignore_index is not None:
        s = s * (labels != ignore_index)
    return c, s, s * c[counted]


def _no_log_probs(outputs):
    cure = "logits: end the model with LogSoftmax, or use cross_entropy"
    if looks_like_probabilities(outputs):
        cure = "probabilities: end the model with LogSoftmax in the place of Softmax"
    return f"nll_loss: expected logarithms of probabilities, got values up to {outputs.max():.3g} that look like {cure}"


def check_arguments(log_probs: Array, labels: Array, label_smoothing: float) -> None:
    """What nll_loss asks of its arguments, whatever their values. Raises: ValueError, TypeError."""
    if log_probs.ndim != 2 or labels.shape != log_probs.shape[:1] or labels.shape[0] == 0:
        raise ValueError(
            f"nll_loss: expected log_probs (N, K) and labels (N,) with N > 0, "
            f"got {tuple(log_probs.shape)} and {tuple(labels.shape)}"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"nll_loss: expected integer labels, got {labels.dtype}")
    if log_probs.dtype.kind != "f":
        raise TypeError(f"nll_loss: expected float log_probs, got {log_probs.dtype}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"nll_loss: expected label_smoothing in 0..1, got {label_smoothing}")


def _check_values(log_probs, labels):
    K = log_probs.shape[1]
    if labels.min() < 0 or labels.max() >= K:
        raise ValueError(f"nll_loss: expected labels in 0..{K - 1}, got {labels.min()}..{labels.max()}")
    largest = log_probs.max()
    if np.isnan(largest):
        raise FloatingPointError(
            f"nll_loss: log_probs holds NaN (row {np.isnan(log_probs).any(axis=1).argmax()}), so weights or inputs are "
            "not finite: try a smaller learning rate; check_finite(model) names the layer where it begins"
        )
    if largest > TOLERANCE:
        raise ValueError(_no_log_probs(log_probs))
