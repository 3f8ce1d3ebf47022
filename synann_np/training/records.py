"""What a training loop yields: the loss of a batch, the result of an epoch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainRecord:
    """Loss of one batch, measured before its update.

    epoch counts from 1; batch from 0; seen is the number of examples of this epoch before the batch, total of the
    whole epoch; step the number of updates done so far, this one included.
    """

    epoch: int
    batch: int
    seen: int
    total: int
    step: int
    loss: float


@dataclass(frozen=True)
class EvalRecord:
    """Mean loss and number of right answers over a whole set, at the end of an epoch (after `step` updates)."""

    epoch: int
    step: int
    loss: float
    correct: int
    total: int

    @property
    def accuracy(self):
        return self.correct / self.total


class NonFiniteLoss(ArithmeticError):
    """The loss is NaN or infinite: training on would only spread it."""
