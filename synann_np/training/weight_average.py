"""The exponential moving average of the weights, which is often a better network than the last weights are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backend import Array
from ..sequential import Sequential
from ..storage.safetensors_file import CheckpointError


class WeightAverage:
    """An average of all parameters and buffers of a model, moved after every step (Polyak and Juditsky's idea):

        average ← average + (1 − d) (weight − average),    d = min(decay, (1 + t) / (10 + t))

    t = 0, 1, ... counts the updates: at the start, while the weights run away from where they began, the average
    follows quickly. Batch-norm's running statistics are averaged too, since they belong to the weights.

    Arguments:
        model: Sequential; the average lives on its backend.
        decay: in [0, 1): 1/(1 − decay) steps is how far the average looks back.

    Attributes: updates (t), arrays (dict name -> array, the averages).

    Raises: ValueError for another decay.
    """

    def __init__(self, model: Sequential, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"WeightAverage: expected decay in [0, 1), got {decay}")
        self.model, self.decay = model, decay
        self.reset()

    def reset(self) -> None:
        """Begin again from the current weights."""
        self.updates = 0
        self.arrays = {name: a.copy() for name, a in self.weights().items()}

    def weights(self) -> dict[str, Array]:
        """dict name -> parameter or buffer of the model, the array itself."""
        return self.model.params | self.model.buffers

    def update(self) -> None:
        """Move the average towards the weights. Call it after every step of the optimiser."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, weight in self.weights().items():
            average = self.arrays[name]
            average += (1 - decay) * (weight - average)

    def state_dict(self) -> dict[str, np.ndarray]:
        """dict name -> copy on the host of every average."""
        return {name: self.model.backend.to_host(a).copy() for name, a in self.arrays.items()}

    def restore(self, checkpoint: Any) -> None:
        """Take up the state that was saved with `save(..., average=...)`; the model gets the weights of then.

        Raises: CheckpointError if the checkpoint holds no average.
        """
        updates = checkpoint.average.get("updates")
        if not checkpoint.weights or type(updates) is not int or updates < 0:
            raise CheckpointError(f"{checkpoint.path}: no average of the weights; start a new run")
        self.model.load_state_dict(checkpoint.weights)
        for name, a in self.arrays.items():
            a[...] = self.model.backend.asarray(checkpoint.state[name], dtype=a.dtype)
        self.updates = updates

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the model computes with the average; afterwards it has its weights again, to the bit."""
        weights = self.weights()
        kept = {name: weight.copy() for name, weight in weights.items()}
        for name, weight in weights.items():
            weight[...] = self.arrays[name]
        try:
            yield
        finally:
            for name, weight in weights.items():
                weight[...] = kept[name]
