"""The two networks that the page can ask: the one that came with it, and the one that is being trained."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

import numpy as np

from ..data import CLASSES
from ..programs.digits.classify import probabilities
from ..programs.examples import MODEL
from ..storage.checkpoint import CheckpointError, load
from ..storage.model_builder import build
from ..storage.model_config import describe


class Networks:
    """Plain models for looking at, never the arrays that the training thread is writing.

    While one request computes with a model, its weights do not change: `publish` waits for it.

    Arguments: path: model file of the shipped network.

    Raises: CheckpointError: the file is missing or damaged, or its network does not read digits.
    """

    def __init__(self, path: str | PathLike = MODEL) -> None:
        self._lock = threading.Lock()
        model = load(path)
        if probabilities(model, np.zeros((1, 28, 28), "uint8")).shape[1] != CLASSES:
            raise CheckpointError(f"{path}: expected a network of {CLASSES} classes")
        self._models = {"shipped": model, "trained": None}

    @property
    def has_trained(self) -> bool:
        """Whether a training run has published weights."""
        return self._models["trained"] is not None

    @contextmanager
    def use(self, which: Any) -> Iterator[Any]:
        """The model to compute with, "shipped" or "trained"; before any training, both mean the shipped one."""
        with self._lock:
            yield self._models[which] or self._models["shipped"]

    def publish(self, model: Any, state: Any) -> None:
        """Make copies of the trained weights the "trained" network.

        Arguments: model: Sequential of the same layers, plain, used by nobody else. state: its weights, a state_dict.
        """
        with self._lock:
            model.load_state_dict(state)
            self._models["trained"] = model

    def forget_trained(self) -> None:
        """Only the shipped network is left."""
        with self._lock:
            self._models["trained"] = None


def in_float64(model: Any) -> Any:
    """A copy of a model in float64, for gradients by finite differences."""
    copy = build(describe(model) | {"dtype": "float64"})
    copy.load_state_dict(model.state_dict())
    return copy
