"""How ranks begin together and end together."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .communicator import Serial
from .mpi import Mpi

KINDS = ("none", "mpi")
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")  # of MPICH and Intel, Open MPI, srun


class LaunchError(ValueError):
    """The processes were not started as the program was told. The message is one line with the cure."""


@contextmanager
def communicator(kind: str | None) -> Iterator[Any]:
    """The Communicator of this process, for as long as it is open:

        with communicator("mpi") as comm: ...

    An exception that leaves it on one of several ranks, SystemExit included, ends all of them: the others would wait
    for ever for their next message. The exit code is that of the SystemExit, 130 for Ctrl-C, else 1, after a traceback.

    Arguments: kind: "mpi", or "none" for Serial.

    Raises: LaunchError if mpiexec started several processes that do not talk to each other. ImportError without MPI.
    """
    comm = start(kind)
    try:
        yield comm
    except BaseException as error:
        if comm.size > 1:
            comm.abort(exit_code(error, comm))
        raise


def start(kind: Any) -> Any:
    """As communicator, without the end."""
    if kind not in KINDS:
        raise ValueError(f"communicator: expected one of {', '.join(KINDS)}, got {kind!r:.40}")
    comm = Mpi() if kind == "mpi" else Serial()
    started = processes_started()
    if comm.size == 1 and started > 1:
        cure = "add --distributed mpi, or start independent runs without mpiexec"
        if kind == "mpi":
            cure = "start it with the mpiexec of the MPI library that mpi4py uses, or with srun --mpi=pmi2 or pmix"
        raise LaunchError(
            f"{started} processes were started, but each of them is alone and would do all the work: {cure}"
        )
    return comm


def processes_started() -> int:
    """How many processes mpiexec or srun says it has started; 1 if none did."""
    counts = [os.environ.get(name, "") for name in SIZES]
    return max([int(count) for count in counts if count.isdecimal()], default=1)


def exit_code(error: BaseException, comm: Any) -> int:
    """With which code all ranks end because of an exception on this one; what it is, is printed first."""
    if isinstance(error, SystemExit):
        print(f"rank {comm.rank} of {comm.size} ended with code {error.code}, and so all do", file=sys.stderr)
        return error.code if isinstance(error.code, int) and error.code else 1
    if isinstance(error, KeyboardInterrupt):
        return 130
    print(f"rank {comm.rank} of {comm.size}:", file=sys.stderr)
    traceback.print_exception(error)
    return 1
