"""Layers that several processes hold over the same parameters, and the arrays of a batch between them."""

import operator
import os
from itertools import chain

import numpy as np

from .blocked import forward_by_rows
from .pixels import are_pixels
from .rank_team import RankTeam
from .shared_memory import DESCRIBE, Batch


class SharedRows:
    """Layers of the part by rows, whose parameters it moves to shared memory, and the team of the other ranks.

    What a layer holds beside its parameters, such as the probability of a dropout, is compared at every batch with what
    the others were told, and told again if it changed.

    Arguments: layers: dict name -> layer. blocks: the same, fused. ranks, dtype, input_gradient: of the model.
    """

    def __init__(self, layers, blocks, ranks, dtype, input_gradient):
        self.layers, self.blocks, self.input_gradient = layers, blocks, input_gradient
        self.held = [held for layer in layers.values() for held in (vars(layer), layer.params)]
        self.team = RankTeam(ranks, np.dtype(dtype).str, {name: p.shape for name, p in self._params()})
        self.owner, self.told, self.batches = os.getpid(), None, {}
        self._move_params()

    def batch(self, x):
        """Shared arrays for the batch x, the others ready for it; None where rank 0 does all the rows."""
        N, memory = len(x), self.team.memory
        if self.team.closed or len(x) < memory.ranks or os.getpid() != self.owner:
            return None
        if x.dtype != memory.dtype and not are_pixels(x):
            return None
        now = self._settings(x)
        if not _same(now, self.told):
            y, _ = forward_by_rows(self.blocks, x[:1], memory.dtype, keep=False)  # refuses what is wrong
            if y.dtype != memory.dtype or not self._move_params():
                return None
            self._tell(x, y.shape[1:])
        if N not in self.batches:
            try:
                self.batches[N] = Batch(memory, N, *self.row_shapes)
            except ValueError:
                return None
        return self.batches[N]

    def _tell(self, x, y_row):
        x_row = x.shape[1:]
        self.row_shapes = x_row, x.dtype.str, (1, *x_row) if are_pixels(x) else x_row, y_row
        self.told, self.batches = None, {}
        description = self.layers, self.input_gradient, np.geterr(), self.row_shapes
        self.team.start()
        self.team.wait()
        self.team.order(DESCRIBE, message=self.team.written(description))
        self.told = self._settings(x)

    def _settings(self, x):
        return [(x.shape[1:], x.dtype), np.geterr(), *chain.from_iterable(map(dict.values, self.held))]

    def _params(self):
        return [(f"{name}.{key}", p) for name, layer in self.layers.items() for key, p in layer.params.items()]

    def _move_params(self):
        """Whether all parameters could be moved to where the others see them."""
        shared, params = self.team.memory.params, self._params()
        if any(p.shape != shared[name].shape or p.dtype != shared[name].dtype for name, p in params):
            return False
        for name, p in params:
            if p is not shared[name]:
                shared[name][...] = p
                layer, _, key = name.partition(".")
                self.layers[layer].params[key] = shared[name]
        return True


def _same(now, before):
    """Equal kinds and rules, and otherwise the very same things."""
    if before is None or len(now) != len(before) or now[:2] != before[:2]:
        return False
    return all(map(operator.is_, now[2:], before[2:]))
