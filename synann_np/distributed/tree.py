"""Sums and gathering by exchanges between two ranks: the same bits on every rank, whatever library carries them."""

from typing import Any

from ..backend import Array, array_module
from .communicator import check

LARGE, MANY = 2**16, 8  # bytes, ranks: from here on a sum is halved instead of sent whole


class TreeCommunicator:
    """The array methods of a Communicator over one primitive, for a power of two of ranks:

        exchange(give, partner) -> array like give, what the partner gives in the same call

    Recursive doubling: at the distances d = 1, 2, 4, ... a rank exchanges with rank ^ d. For a sum both add what they
    have, a + b = b + a to the bit, so after log2(size) exchanges every rank holds ((0+1)+(2+3))+… with equal bits.
    Recursive halving sends only the half that the partner keeps; every element is added in the same tree.

    Subclasses set rank, size, sent, calls and xp, the namespace of their arrays.
    """

    rank: int
    size: int
    sent: int
    calls: int
    xp: Any = None

    def distances(self) -> list[int]:
        """1, 2, 4, ... below size. Raises: ValueError unless size is a power of two."""
        if self.size & (self.size - 1):
            raise ValueError(f"communicator: sums in a tree need 1, 2, 4, 8, ... ranks, got {self.size}")
        return [2**k for k in range(self.size.bit_length() - 1)]

    def total(self, a: Array) -> Array:
        check(a, self.xp)
        if a.nbytes > LARGE and self.size >= MANY:
            return self._total_by_halves(a)
        for d in self.distances():
            a = a + self._exchange(a, self.rank ^ d)
        return a

    def _total_by_halves(self, a):
        flat, xp = a.reshape(-1), array_module(a)
        missing = xp.zeros(-a.size % self.size, a.dtype)
        whole = self.slices(self.scattered(xp.concatenate([flat, missing])))
        return whole[: a.size].reshape(a.shape)

    def slices(self, part: Array) -> Array:
        a = check(part, self.xp)
        xp = array_module(a)
        for d in self.distances():  # a holds the parts of the d ranks that differ from this one in lower bits only
            other = self._exchange(a, self.rank ^ d)
            a = xp.concatenate([other, a] if self.rank & d else [a, other])
        return a

    def scattered(self, a: Array) -> Array:
        check(a, self.xp)
        if len(a) % self.size:
            raise ValueError(f"communicator: {len(a)} rows cannot be scattered over {self.size} ranks")
        width = len(a) // self.size
        xp = array_module(a)
        for d in self.distances():  # keep the slices of the ranks whose bit d is that of this rank
            pairs = a.reshape(-1, 2, width, *a.shape[1:])
            mine = 1 if self.rank & d else 0
            give, keep = (xp.ascontiguousarray(pairs[:, which]) for which in (1 - mine, mine))
            a = (keep + self._exchange(give, self.rank ^ d)).reshape(-1, *a.shape[1:])
        return a

    def swapped(self, a: Array) -> Array:
        check(a, self.xp)
        if len(a) != self.size:
            raise ValueError(f"communicator: expected one part for each of {self.size} ranks, got {len(a)}")
        out = a.copy()
        self.distances()
        for d in range(1, self.size):
            out[self.rank ^ d] = self._exchange(a[self.rank ^ d], self.rank ^ d)
        return out

    def _exchange(self, give, partner):
        self.sent += give.nbytes
        self.calls += 1
        return self.exchange(give, partner)
