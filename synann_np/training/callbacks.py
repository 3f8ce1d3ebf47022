"""Callbacks: functions of a record that `fit` calls before it yields it; one that returns True ends the run there."""

import math
from typing import Any

from ..arguments import integer
from .records import EvalRecord


def out_of_patience(finished: int, best_epoch: int, patience: int) -> bool:
    """Early stopping: whether the last `patience` of the finished epochs were none better than best_epoch.

    A function of numbers that every checkpoint holds, so that a resumed run stops where the uninterrupted one does.
    patience 0 is endless.
    """
    return 0 < patience <= finished - best_epoch


class BestEpoch:
    """Notes the best epoch of a run, and the weights that it had.

    Arguments:
        model: whose weights are kept, as copies on the host; None keeps none.
        monitor: "accuracy", "loss", or the name of a metric.
        lower_is_better: None: for "loss", and for names that end with "loss" or "error".

    Attributes: epoch (0 before the first), value.

    Raises (when called): ValueError for a record that has no such value.
    """

    def __init__(self, model: Any = None, monitor: str = "accuracy", lower_is_better: bool | None = None) -> None:
        self.model, self.monitor = model, monitor
        self.lower_is_better = monitor.endswith(("loss", "error")) if lower_is_better is None else lower_is_better
        self.epoch, self.value, self.state = 0, None, None

    def __call__(self, record):
        if not isinstance(record, EvalRecord):
            return
        value = record.metrics.get(self.monitor, getattr(record, self.monitor, None))
        if value is None or isinstance(value, dict):
            raise ValueError(f"{type(self).__name__}: the records have no {self.monitor!r} of the test set")
        if math.isfinite(value) and (self.value is None or self._is_better(value)):
            self.epoch, self.value = record.epoch, value
            self.state = None if self.model is None else self.model.state_dict()

    def restore(self) -> None:
        """Give the model the weights of the best epoch. Raises: ValueError if there is none."""
        if self.state is None:
            raise ValueError(f"{type(self).__name__}: no weights were kept: pass the model, and finish an epoch")
        self.model.load_state_dict(self.state)

    def _is_better(self, value):
        return value < self.value if self.lower_is_better else value > self.value


class EarlyStopping(BestEpoch):
    """Ends the run after `patience` epochs that were none better than the best. Arguments: as BestEpoch.

    stopping = EarlyStopping(5, model, monitor="loss")
    for record in fit(..., callbacks=[stopping]): ...
    stopping.restore()
    """

    def __init__(
        self, patience: int, model: Any = None, monitor: str = "accuracy", lower_is_better: bool | None = None
    ) -> None:
        super().__init__(model, monitor, lower_is_better)
        self.patience = integer("EarlyStopping", "patience", patience)

    def __call__(self, record):
        super().__call__(record)
        return isinstance(record, EvalRecord) and out_of_patience(record.epoch, self.epoch, self.patience)
