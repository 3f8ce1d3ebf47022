"""Ranks with a GPU each: arrays by NCCL through CuPy, everything else by MPI. It has not been run on a GPU yet."""

from typing import Any

from ..backend import Array, Backend, array_module
from .communicator import check
from .mpi import Mpi


class Nccl(Mpi):
    """Communicator of arrays on GPUs: the same tree of sums, over NCCL's exchange of two arrays.

    NCCL takes dtype and length from the caller and compares nothing, so every first exchange of a kind of array with a
    partner is preceded by one over MPI that does.

    Arguments: mpi: the Mpi of this process. backend: cupyx.distributed.NCCLBackend, or what has its send_recv and
    all_reduce. xp: the namespace of the arrays.
    """

    def __init__(self, mpi: Any, backend: Any, xp: Any) -> None:
        self.__dict__ |= vars(mpi)
        self.backend, self.xp = backend, xp
        self.agreed: set[Any] = set()

    def exchange(self, give: Array, partner: int) -> Array:
        kind = (partner, give.dtype.name, give.shape)
        if kind not in self.agreed:
            self._agree(give, partner)
            self.agreed.add(kind)
        other = array_module(give).empty_like(give)
        self.backend.send_recv(give, other, partner)
        return other

    def _agree(self, give, partner):
        mine = (give.dtype.name, tuple(give.shape))
        other = self.comm.sendrecv(mine, partner, source=partner)
        if mine != other:
            raise ValueError(
                f"communicator: rank {self.rank} has {mine[0]} of shape {mine[1]}, but rank {partner} {other[0]} of "
                f"shape {other[1]}: all ranks must pass arrays of one kind"
            )

    def allreduce(self, a: Array) -> Array:
        out = array_module(a).empty_like(check(a, self.xp))
        self.backend.all_reduce(a, out)
        self.sent += 2 * a.nbytes * (self.size - 1) // self.size
        self.calls += 1
        return out


def with_nccl(comm: Any, backend: Backend) -> Any:
    """The communicator for arrays of a backend: comm itself for NumPy or one rank, else NCCL's on this rank's GPU."""
    if comm.size == 1 or backend.name == "numpy":
        return comm
    return start(comm, backend)


def start(mpi: Any, backend: Backend) -> Nccl:
    """Nccl for the ranks of an Mpi, one GPU each; those of a machine take its GPUs in turn.

    NCCLBackend would fall back to TCP without mpi4py, silently; Mpi has imported it already.
    """
    from cupyx.distributed import NCCLBackend

    use_device(backend.xp, mpi.local_rank)
    return Nccl(mpi, NCCLBackend(mpi.size, mpi.rank, use_mpi=True), backend.xp)


def use_device(xp: Any, local_rank: int) -> None:
    """Compute on the GPU of this number from now on, counted around."""
    xp.cuda.Device(local_rank % xp.cuda.runtime.getDeviceCount()).use()
