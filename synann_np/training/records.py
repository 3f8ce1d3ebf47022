"""What a training loop yields: the loss of a batch, the result of an epoch."""

from dataclasses import dataclass, field
from typing import Any


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
    """Mean loss and number of right answers over a whole set, at the end of an epoch (after `step` updates).

    correct is None where the targets are no labels; total is the number of rows, those of an ignored label left out;
    metrics holds the value of every metric by its name.
    """

    epoch: int
    step: int
    loss: float
    correct: int | None
    total: int
    metrics: dict = field(default_factory=dict)

    @property
    def accuracy(self) -> Any:
        """Share of right answers, or None where the targets are no labels."""
        return None if self.correct is None else self.correct / self.total


class NonFiniteLoss(ArithmeticError):
    """The loss is NaN or infinite: training on would only spread it."""


def at_chance(record: EvalRecord, classes: int = 10) -> bool:
    """Whether the accuracy of an EvalRecord is no better than guessing: up to half as much again, 5 % at most."""
    return record.accuracy < 1 / classes + min(0.5 / classes, 0.05)
