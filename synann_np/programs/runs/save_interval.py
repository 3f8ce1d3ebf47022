"""How often a run saves."""

import math
from dataclasses import dataclass
from typing import Any

from ...train import EvalRecord


@dataclass(frozen=True)
class Interval:
    """Between two saves: a number of epochs, or minutes (which are looked at when a record comes)."""

    epochs: int | None = 1
    minutes: float | None = None

    def is_over(self, record: Any, seconds: float) -> bool:
        """Whether to save at this record, `seconds` after the last save."""
        if self.minutes is not None:
            return seconds >= 60 * self.minutes
        return isinstance(record, EvalRecord) and record.epoch % (self.epochs or 1) == 0


def to_interval(text: str) -> Interval:
    """Epochs or minutes: "3" -> every 3 epochs, "10min" -> every 10 minutes. Raises: ValueError for anything else."""
    number, minutes = (text.removesuffix("min"), True) if text.endswith("min") else (text, False)
    try:
        value: Any = float(number) if minutes else int(number)
    except ValueError:
        value = math.nan
    if not (0 if minutes else 1) <= value < math.inf:  # false for NaN too
        raise ValueError(f"expected epochs, as 5, or minutes, as 10min, got {text:.40}")
    return Interval(None, value) if minutes else Interval(value)
