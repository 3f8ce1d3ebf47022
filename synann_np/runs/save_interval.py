"""How often a run saves."""

from dataclasses import dataclass

from ..train import EvalRecord


@dataclass(frozen=True)
class Interval:
    """Between two saves: a number of epochs, or minutes (which are looked at when a record comes)."""

    epochs: int | None = 1
    minutes: float | None = None

    def is_over(self, record, seconds):
        """Whether to save at this record, `seconds` after the last save."""
        if self.minutes is not None:
            return seconds >= 60 * self.minutes
        return isinstance(record, EvalRecord) and record.epoch % self.epochs == 0
