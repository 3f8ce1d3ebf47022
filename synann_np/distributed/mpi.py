"""Ranks that talk by MPI, through mpi4py, the only file that names it."""

import sys
import time
from typing import Any

import numpy as np

from ..backend import Array
from .communicator import check
from .tree import TreeCommunicator

FORWARDED = 0.2  # seconds: mpiexec may drop what a rank has printed just before it aborts all


class Mpi(TreeCommunicator):
    """The ranks that mpiexec or srun started. Arrays are NumPy's.

    MPI checks neither dtype nor length: here the tag of a message tells the size of an element, and the number of bytes
    that came is compared.

    Raises: ImportError with the cure if mpi4py or an MPI library is missing.
    """

    xp = np

    def __init__(self) -> None:
        try:
            from mpi4py import MPI  # importing it starts MPI
        except (ImportError, RuntimeError) as error:
            raise ImportError(
                f"mpi4py or its MPI library cannot be used ({error}): python -m pip install mpi4py, and mpich if the "
                "machine has no MPI of its own"
            ) from error
        self.MPI, self.comm = MPI, MPI.COMM_WORLD
        self.rank, self.size = self.comm.rank, self.comm.size
        self.local_rank = self.comm.Split_type(MPI.COMM_TYPE_SHARED).rank
        self.sent = self.calls = 0

    def exchange(self, give: Array, partner: int) -> Array:
        """What the partner gives. Raises: ValueError if it has another dtype or length."""
        MPI, other, status = self.MPI, np.empty_like(give), self.MPI.Status()
        try:
            self.comm.Sendrecv(
                [give, MPI.BYTE], partner, give.itemsize, [other, MPI.BYTE], partner, MPI.ANY_TAG, status
            )  # fmt: skip
            fits = status.Get_tag() == give.itemsize and status.Get_count(MPI.BYTE) == give.nbytes
        except MPI.Exception as error:
            if error.Get_error_class() != MPI.ERR_TRUNCATE:
                raise
            fits = False
        if not fits:
            raise ValueError(
                f"communicator: rank {self.rank} has {give.dtype} of shape {give.shape}, but rank {partner} sent an "
                "array of another dtype or length: all ranks must pass arrays of one kind"
            )
        return other

    def allreduce(self, a: Array) -> Array:
        out = np.empty_like(check(a, np))
        self.comm.Allreduce(a, out)
        self.sent += 2 * a.nbytes * (self.size - 1) // self.size
        self.calls += 1
        return out

    def largest(self, number: float) -> float:
        return self.comm.allreduce(number, self.MPI.MAX)

    def from_first(self, value: Any) -> Any:
        return self.comm.bcast(value if self.rank == 0 else None)

    def gathered(self, value: Any) -> Any:
        return self.comm.allgather(value)

    def barrier(self) -> None:
        """Wait asleep: in every other call a waiting rank polls, and takes a core from those that work."""
        request = self.comm.Ibarrier()
        while not request.Test():
            time.sleep(0.005)

    def abort(self, code: int) -> Any:
        if self.size == 1:
            return code
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(FORWARDED)
        self.comm.Abort(code)
        return code
