"""When and what a run saves, and how it is taken up again."""

import time
from os import PathLike
from typing import Any

import numpy as np

from ...storage.atomic_file import write_atomically
from ...storage.checkpoint import read_checkpoint, to_bytes
from ...train import EvalRecord, NonFiniteLoss
from .history_file import HistoryFile
from .resume import take_up
from .save_interval import Interval


class NotSaved(OSError):
    """A save failed, and the run was asked to stop in this case."""


class RunSaver:
    """The files of a run: every record into the history, the state of training into last and best.

    Arguments:
        folder: an open RunFolder.
        model, optimizer, average (a WeightAverage, or None): saved, and restored in place.
        identity: dict of JSON values, from run_identity.
        batches_per_epoch: of this run.
        interval: Interval between saves, every epoch by default. The best epoch so far is saved whenever it happens.
        needs_best: the best weights are asked for, so a run that has lost them is not resumed unawares.
        stop_on_error: raise NotSaved when a save fails; otherwise warn and go on.
        warn: function of a line.
        clock: function returning seconds.
        shards: Shards, where the model is divided among ranks. Best weights that could not be written are then lost.
    """

    def __init__(
        self, folder: Any, model: Any, optimizer: Any, identity: Any, batches_per_epoch: Any,
        *, average: Any = None, interval: Any = None, needs_best: bool = False, stop_on_error: bool = False,
        warn: Any = print, clock: Any = time.monotonic, shards: Any = None,
    ) -> None:  # fmt: skip
        self.folder, self.model, self.optimizer, self.average = folder, model, optimizer, average
        self.identity, self.batches_per_epoch = identity, batches_per_epoch
        self.interval, self.stop_on_error, self.warn, self.clock = interval or Interval(), stop_on_error, warn, clock
        self.needs_best, self.shards = needs_best, shards
        self.unsaved_best: Any = None  # the content of `best` that could not be written yet
        self.step = self.finished = 0
        self.best_correct: Any = 0
        self.best_epoch = 0
        self.saved: Any = None  # step and finished at the last save that succeeded
        self.saved_at = clock()
        self.history: Any = None

    def start(self) -> None:
        """Begin from nothing, and save that: a folder that cannot hold the run is noticed before the work."""
        self.history = HistoryFile(self.folder.history)
        self.save()

    def resume(self, accept_changes: bool = False) -> Any:
        """Take up the state of `last`: model, optimiser, history, step, finished (epochs). None yet: start.

        Returns: list of str: what differs from the run that was saved, if accepted.

        Raises: CheckpointError: a file is bad or gone, or something differs and is not accepted.
        """
        return take_up(self, accept_changes)

    def after(self, record: Any) -> None:
        """Note a record, and save if it is time. model and optimizer must be in the state after record.step updates.

        Raises: NonFiniteLoss: the weights are not finite, so the last good checkpoint is kept. NotSaved.
        """
        if not self.folder.begun:
            self.folder.begin()
        self.step = record.step
        self.finished = record.epoch if isinstance(record, EvalRecord) else record.epoch - 1
        self._try(lambda: self.history.add(record), self.folder.history)
        if isinstance(record, EvalRecord) and record.correct > self.best_correct:
            self.best_correct, self.best_epoch = record.correct, record.epoch
            self.save(new_best=True)
        elif self.interval.is_over(record, self.clock() - self.saved_at):
            self.save()

    def save(self, new_best: bool = False) -> Any:
        """Save the state of training into `last`; before that into `best`, if it is the best or an earlier one could
        not be saved. Returns: whether both are saved. Raises: as after.
        """
        for name, a in (self.model.params | self.model.buffers).items():
            if not np.isfinite(self.model.backend.to_host(a)).all():
                raise NonFiniteLoss(
                    f"{name} is not finite after {self.step} steps: training stopped, the last good checkpoint is kept."
                    " Try a smaller learning rate; --check-finite names the layer where it begins"
                )
        synced = self._try(self.history.sync, self.folder.last)  # a checkpoint refers to the lines before it
        content = self._content()
        self.unsaved_best = content if new_best else self.unsaved_best
        self.saved_at = self.clock()
        if not synced:
            return False
        # Before last: killed in between, the run resumes earlier and finds the same best again.
        if self.unsaved_best is not None and self.write(self.folder.best, self.unsaved_best):
            self.unsaved_best = None
        if self.write(self.folder.last, content):
            self.saved = self.step, self.finished
        return self._is_saved()

    def save_if_new(self) -> Any:
        """Save unless the state is saved already. Returns: whether it is saved now. Raises: as after."""
        return self._is_saved() or self.save()

    def close(self) -> None:
        if self.history is not None:
            self.history.close()

    def _is_saved(self):
        return self.saved == (self.step, self.finished) and self.unsaved_best is None

    def read(self, path: str | PathLike) -> Any:
        """The Checkpoint of a file of the folder. Raises: CheckpointError."""
        return self.shards.read(path) if self.shards else read_checkpoint(path)

    def write(self, path: str | PathLike, content: Any) -> Any:
        """Replace a file of the folder. Returns: whether it succeeded. Raises: NotSaved."""
        return self._try(lambda: write_atomically(path, content), path)

    def _content(self):
        training = {
            "step": self.step,
            "finished": self.finished,
            "best_correct": self.best_correct,
            "best_epoch": self.best_epoch,
            "batches_per_epoch": self.batches_per_epoch,
            "history_size": self.history.size,
            "history_sha256": self.history.sha256,
            "identity": self.identity,
        }
        if self.shards:
            return self.shards.content(training)
        return to_bytes(self.model, self.optimizer, training, self.average)

    def _try(self, write, path):
        try:
            write()
        except OSError as error:
            message = f"{path}: cannot be written ({error.strerror or error}), what was saved before is untouched"
            if self.stop_on_error:
                raise NotSaved(f"{message}; stopped as asked") from error
            self.warn(f"Warning: {message}; training continues, free some space")
            return False
        return True
