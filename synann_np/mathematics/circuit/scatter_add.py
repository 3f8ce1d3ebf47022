"""Add up values that belong to the same row, on any backend, always in the same order."""

import numpy as np

from ...backend import Array, Backend


class ScatterAdd:
    """out[targets[k]] += values[k] for every k, where targets may repeat.

    `out[targets] += values` keeps one of the repeated values, and atomic additions on a device round differently in
    every run. Here the repeated rows are added in pairs, round by round, as in a tournament: within a round no row
    occurs twice, so plain indexing is right; the longest group of r equal targets takes ⌈log₂ r⌉ rounds, and the order
    of additions is fixed when this is made.

    Arguments:
        targets: host integers (K,).
        backend: where the values will be.
    """

    def __init__(self, targets: np.ndarray, backend: Backend) -> None:
        targets = np.asarray(targets, dtype=np.int64)
        place = np.argsort(targets, kind="stable")  # equal targets become neighbours
        self.rounds = []
        while True:
            key = targets[place]
            first = np.searchsorted(key, key)
            odd = (np.arange(len(key)) - first) % 2 == 1  # the 2nd, 4th, ... of its group
            if not odd.any():
                break
            into, added = place[np.flatnonzero(odd) - 1], place[odd]
            self.rounds.append((backend.asarray(into), backend.asarray(added)))
            place = place[~odd]
        self.rows, self.place = backend.asarray(targets[place]), backend.asarray(place)

    def add(self, out: Array, values: Array) -> None:
        """Add values (K, ...) to out (rows, ...) in place. values is used up."""
        for into, added in self.rounds:
            values[into] += values[added]
        out[self.rows] += values[self.place]
