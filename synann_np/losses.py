"""Losses: the value and its gradient in one call."""

import numpy as np

from .backend import array_module


def nll_loss(log_probs, labels, label_smoothing=0.0):
    """Negative log likelihood, mean over the batch: L = −(1/N) Σ_n log_probs[n, labels_n].

    Its gradient: dlog_probs_nk = −1/N where k = labels_n, else 0.

    With label smoothing ε (Szegedy et al., 2016; as PyTorch's cross_entropy) the target is 1 − ε + ε/K at the label and
    ε/K elsewhere, not 1 and 0, which keeps the network from being ever more sure:

        L = −(1/N) Σ_n [ (1 − ε) log_probs[n, labels_n] + (ε/K) Σ_k log_probs_nk ]
        dlog_probs_nk = −(1 − ε)/N where k = labels_n, else 0, − ε/(N K) everywhere

    Arguments:
        log_probs: (N, K), float32 or float64, logarithms of probabilities.
        labels: (N,), integers in 0..K−1, on the same backend.
        label_smoothing: ε in 0..1.

    Returns: loss (a scalar of the backend, not yet copied to the host), dlog_probs (N, K).

    Raises:
        ValueError: shapes do not fit, the batch is empty, ε or a label is out of range. Labels on a device are not
            looked at (that would wait for the device): `load_mnist` has checked them on the host.
        TypeError: labels are not integers.
        FloatingPointError: log_probs holds NaN. Not on a device, for the same reason: there the loss is NaN.
    """
    xp = array_module(log_probs)
    if log_probs.ndim != 2 or labels.shape != log_probs.shape[:1] or labels.shape[0] == 0:
        raise ValueError(
            f"nll_loss: expected log_probs (N, K) and labels (N,) with N > 0, "
            f"got {tuple(log_probs.shape)} and {tuple(labels.shape)}"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"nll_loss: expected integer labels, got {labels.dtype}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"nll_loss: expected label_smoothing in 0..1, got {label_smoothing}")
    N, K = log_probs.shape
    if xp is np and (labels.min() < 0 or labels.max() >= K):
        raise ValueError(f"nll_loss: expected labels in 0..{K - 1}, got {labels.min()}..{labels.max()}")
    if xp is np and np.isnan(log_probs).any():
        raise FloatingPointError(
            f"nll_loss: log_probs holds NaN (row {np.isnan(log_probs).any(axis=1).argmax()}), so weights or inputs are "
            "not finite: try a smaller learning rate; check_finite(model) names the layer where it begins"
        )

    rows = xp.arange(N)
    loss = -log_probs[rows, labels].mean()
    dlog_probs = xp.zeros_like(log_probs)
    dlog_probs[rows, labels] = -(1 - label_smoothing) / N
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * log_probs.mean()
        dlog_probs -= label_smoothing / (N * K)
    return loss, dlog_probs
