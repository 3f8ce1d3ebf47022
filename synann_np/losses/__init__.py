"""Losses: the value and its gradient in one call, loss, doutputs = f(outputs, targets).

A loss of your own is a function like these. `fit` passes `sample_weights=` only where the training set has some. Two
optional attributes of the function let `fit` refuse what the loss cannot mean: `targets` ("labels" or "values") and
`check_outputs`, a function that is called once with the outputs of the first batch. A third, `batch_weight`, is needed
where a batch with weights is divided among processes, see row_weights.py.
"""

from .binary_cross_entropy import binary_cross_entropy_with_logits
from .cross_entropy import cross_entropy
from .mean_squared_error import mse_loss
from .negative_log_likelihood import nll_loss
from .soft_labels import soft_nll_loss
from .surprisal_cross_entropy import surprisal_loss

__all__ = [
    "binary_cross_entropy_with_logits", "cross_entropy", "mse_loss", "nll_loss", "soft_nll_loss", "surprisal_loss",
]  # fmt: skip
