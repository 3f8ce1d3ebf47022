"""What processes say to each other, and the communicator of a process that is alone."""

from typing import Any, Protocol

import numpy as np

from ..backend import Array, array_module


class Communicator(Protocol):
    """`size` processes, each started from the same program and called a rank; this one has the number `rank`.

    Every method is called by all ranks in the same order. Arrays are C-contiguous, float32 or float64, and of one shape
    and dtype on all ranks; `check` and the exchange itself refuse all others, since MPI would return garbage.
    Sums are taken in one fixed binary tree over the ranks, ((0+1)+(2+3))+…, so that every rank has the same bits.

    Attributes:
        rank, size: int. local_rank: number among the ranks of this machine.
        sent, calls: bytes of arrays that this rank has sent, and messages that it has exchanged, so far.
    """

    rank: int
    size: int
    local_rank: int
    sent: int
    calls: int

    def total(self, a: Any) -> Any:
        """The sum over all ranks, on all ranks: an array like a."""

    def allreduce(self, a: Any) -> Any:
        """The same in the order of the library, which depends on the number of ranks; that may be any."""

    def slices(self, part: Any) -> Any:
        """The parts (n, ...) of all ranks in the order of the ranks: (n size, ...)."""

    def scattered(self, a: Any) -> Any:
        """Of the sum over all ranks of a (n size, ...) the part of this rank, (n, ...)."""

    def swapped(self, a: Any) -> Any:
        """Part r of a (size, ...) goes to rank r; part r of the result comes from rank r."""

    def largest(self, number: float) -> float:
        """The largest of the numbers of all ranks."""

    def from_first(self, value: Any) -> Any:
        """The value of rank 0, any object; what the other ranks pass is ignored."""

    def gathered(self, value: Any) -> list:
        """The values of all ranks, any objects, in the order of the ranks."""

    def barrier(self) -> None:
        """Wait until all ranks are here."""

    def abort(self, code: int) -> int:
        """End all ranks at once with this exit code. A process that is alone goes on: the code is returned."""


class Serial:
    """The communicator of one process: sums over one rank."""

    rank, size, local_rank = 0, 1, 0

    def __init__(self) -> None:
        self.sent = self.calls = 0

    def total(self, a: Array) -> Array:
        return check(a)

    def allreduce(self, a: Array) -> Array:
        return check(a)

    def slices(self, part: Array) -> Array:
        return check(part)

    def scattered(self, a: Array) -> Array:
        return check(a)

    def swapped(self, a: Array) -> Array:
        return check(a)

    def largest(self, number: float) -> float:
        return number

    def from_first(self, value: Any) -> Any:
        return value

    def gathered(self, value: Any) -> list[Any]:
        return [value]

    def barrier(self) -> None:
        pass

    def abort(self, code: int) -> Any:
        return code


def check(a: Array, xp: Any = None) -> Array:
    """The array itself, if it may be sent.

    Arguments: a: array; xp: the namespace it must be of, None for any.

    Raises: TypeError unless it is a float32 or float64 array of xp, ValueError unless it is C-contiguous.
    """
    if xp is not None and array_module(a) is not xp:
        raise TypeError(f"communicator: expected an array of {xp.__name__}, got one of {array_module(a).__name__}")
    if a.dtype not in (np.float32, np.float64):
        raise TypeError(f"communicator: expected float32 or float64, got {a.dtype}")
    if not a.flags.c_contiguous:
        raise ValueError(
            f"communicator: expected a C-contiguous array, got {tuple(a.shape)} with strides {a.strides}: "
            "MPI would send its elements in the order of memory; use ascontiguousarray"
        )
    return a
