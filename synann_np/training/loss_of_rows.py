"""The loss of samples with weights, in batches of any division."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ..backend import Array
from ..losses.row_weights import batch_weight


class LossOfRows:
    """A loss whose targets are the numbers of the rows, by which it finds their targets and their weights.

    Arguments: loss: as in train.fit. targets (N, ...), weights (N,): of the whole data set.
    """

    def __init__(self, loss: Callable, targets: Array, weights: Array) -> None:
        self.loss, self.targets, self.weights = loss, targets, weights

    def __call__(self, outputs, rows, **options):
        return self.loss(outputs, self.targets[rows], sample_weights=self.weights[rows], **options)

    def batch_weight(self, outputs: Array, rows: Array, **options: Any) -> Any:
        """See losses.row_weights.batch_weight."""
        weighted = partial(self.loss, sample_weights=self.weights[rows], **options)
        return batch_weight(weighted, outputs, self.targets[rows])
