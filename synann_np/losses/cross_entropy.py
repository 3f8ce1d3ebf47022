"""Cross-entropy of class labels, from logits."""

from typing import Any

import numpy as np

from ..backend import Array
from ..layers.logsoftmax import LogSoftmax
from .negative_log_likelihood import looks_like_probabilities, nll_loss, sum_of_weights

LOG_SOFTMAX = LogSoftmax()


@np.errstate(under="ignore")  # a probability that underflows is 0
def cross_entropy(
    logits: Array,
    labels: Array,
    label_smoothing: float = 0.0,
    *,
    class_weights: Array = None,
    sample_weights: Array = None,
    ignore_index: int | None = None,
) -> tuple[Any, Array]:
    """nll_loss of log-softmax: L = −(1/N) Σ_n (logits[n, labels_n] − log Σ_k e^{logits_nk}).

    The gradient is LogSoftmax's backward of nll_loss's gradient; without weights and smoothing it is

        dlogits_nk = (softmax(logits)_nk − δ_k,labels_n) / N

    For a model that ends with the logits themselves; one that ends with LogSoftmax is trained by nll_loss.

    Arguments, returns, raises: as nll_loss, with logits (N, K) of any finite value.
    """
    if logits.ndim != 2:
        raise ValueError(f"cross_entropy: expected logits (N, K), got {tuple(logits.shape)}")
    log_probs, cache = LOG_SOFTMAX.forward(logits)
    loss, dlog_probs = nll_loss(
        log_probs, labels, label_smoothing,
        class_weights=class_weights, sample_weights=sample_weights, ignore_index=ignore_index,
    )  # fmt: skip
    return loss, LOG_SOFTMAX.backward(dlog_probs, cache)[0]


def check_logits(outputs: Array) -> None:
    """Refuse outputs (N, K), a host array, that are probabilities. Raises: ValueError."""
    if outputs.shape[1] > 1 and looks_like_probabilities(outputs):
        raise ValueError(
            "cross_entropy: expected logits, got rows that are probabilities: leave out the Softmax at the end of the "
            "model, or put LogSoftmax in its place and use nll_loss"
        )


cross_entropy.targets = "labels"
cross_entropy.check_outputs = check_logits
cross_entropy.batch_weight = sum_of_weights
