"""The iterator that `fit` returns."""

import warnings
from collections.abc import Callable, Generator, Iterable
from typing import Any


class Run:
    """Iterates over the records of a run; training happens in between. Callbacks see each record before it is yielded.

    A run that is dropped without having been iterated has trained nothing, and warns of it: RuntimeWarning.
    """

    def __init__(self, records: Generator[Any, None, None], callbacks: Callable | Iterable[Callable] = ()) -> None:
        self.begun = self.over = False
        self.records = records
        self.callbacks = (callbacks,) if callable(callbacks) else tuple(callbacks)

    def __iter__(self):
        return self

    def __next__(self):
        self.begun = True
        if self.over:
            raise StopIteration
        record = next(self.records)
        for callback in self.callbacks:
            self.over |= bool(callback(record))
        return record

    def close(self) -> None:
        """End the run where it is."""
        self.begun = self.over = True
        self.records.close()

    def __del__(self):
        if not self.begun:
            warnings.warn(
                "fit(...) was never iterated, so nothing was trained: use `for record in fit(...):` or list(fit(...))",
                RuntimeWarning,
                stacklevel=2,
            )
