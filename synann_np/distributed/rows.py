"""Between rows on their ranks and units on their ranks: who has which part of (N, n)."""

from collections.abc import Sequence
from typing import Any

from ..backend import Array, array_module


class RowsOfRanks:
    """A batch of N rows, of which every rank has some, as a matrix (N, n) whose columns are to be divided instead.

    Ranks have different numbers of rows; they are sent padded with zeros to the largest, `most`.

    Arguments: comm: Communicator. rows: of each chunk of this rank, 0 for one that counts nothing.
    """

    def __init__(self, comm: Any, rows: Any) -> None:
        self.comm, self.rows = comm, rows
        self.counts = comm.gathered(sum(rows))
        self.most, self.mine = max(self.counts), sum(rows)

    def joined(self, chunks: Sequence[Array]) -> Array:
        """The rows of this rank that count: (own rows, n)."""
        xp = array_module(chunks[0])
        return xp.concatenate([chunk[:count] for chunk, count in zip(chunks, self.rows, strict=True)])

    def divided(self, a: Array) -> Any:
        """Back to chunks; one that counts nothing is a row of zeros."""
        xp, chunks, at = array_module(a), [], 0
        for count in self.rows:
            chunks.append(a[at : at + count] if count else xp.zeros((1, a.shape[1]), a.dtype))
            at += count
        return chunks

    def whole(self, a: Array) -> Array:
        """(own rows, n) of every rank -> (N, n) on every rank."""
        return self._packed(self.comm.slices(self._padded(a)))

    def scattered(self, a: Array) -> Array:
        """The own rows of the sum over all ranks of a (N, n)."""
        return self.comm.scattered(self._spread(a))[: self.mine]

    def units_to_rows(self, a: Array) -> Array:
        """(N, own units) -> (own rows, n)."""
        R = self.comm.size
        parts = self.comm.swapped(self._spread(a).reshape(R, self.most, -1))  # of rank r its units of the own rows
        return parts.transpose(1, 0, 2).reshape(self.most, -1)[: self.mine]

    def rows_to_units(self, a: Array) -> Array:
        """(own rows, n) -> (N, own units)."""
        xp, R = array_module(a), self.comm.size
        parts = self._padded(a).reshape(self.most, R, -1).transpose(1, 0, 2)
        return self._packed(self.comm.swapped(xp.ascontiguousarray(parts)).reshape(R * self.most, -1))

    def _padded(self, a):
        xp = array_module(a)
        missing = xp.zeros((self.most - len(a), *a.shape[1:]), a.dtype)
        return xp.concatenate([a, missing])

    def _packed(self, a):
        """(R most, ...) -> (N, ...): without the padding."""
        xp = array_module(a)
        return xp.concatenate([a[r * self.most : r * self.most + count] for r, count in enumerate(self.counts)])

    def _spread(self, a):
        """(N, ...) -> (R most, ...): with the padding."""
        xp, parts, at = array_module(a), [], 0
        for count in self.counts:
            parts.append(self._padded(a[at : at + count]))
            at += count
        return xp.concatenate(parts)
