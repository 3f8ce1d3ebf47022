"""A run on several ranks: rank 0 writes, prints and decides, the others compute the same steps."""

import argparse
import math
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from signal import Signals
from typing import Any

from ...distributed import DataParallel, communicator
from ...distributed.chunks import SMALL
from ...distributed.nccl import with_nccl
from ..process import status_of

TUNED_AT = 100  # the batch size that recipes and default learning rates were chosen with


def on_all_ranks(train: bool, args: argparse.Namespace, prog: str) -> Any:
    """train(args, prog, communicator) on one process or on those of mpiexec. What goes wrong on one rank ends all.

    Returns: the exit status of rank 0, on all.
    """
    with communicator(args.distributed) as comm:
        args, agreed = comm.from_first(args), []

        def together():
            with silent(comm.rank > 0):
                status = train(args, prog, comm)
            comm.barrier()  # asleep: rank 0 may still test and draw
            agreed.append(comm.from_first(status))

        status = status_of(prog, together)
        return agreed[0] if agreed else comm.abort(status)


def divided(model: Any, comm: Any, args: argparse.Namespace) -> Any:
    """The model whose batches are divided into args.chunks chunks, or itself without chunks.

    Raises: ValueError if the chunks do not fit the ranks.
    """
    if not args.chunks and comm.size == 1:
        return model
    return DataParallel(model, with_nccl(comm, model.backend), args.chunks)


def describe_division(comm: Any, args: argparse.Namespace, batches_per_epoch: Any) -> Iterator[Any]:
    """Lines on what is computed where, and what that means for the learning rate."""
    if not args.chunks:
        return
    N, rows = args.batch_size, args.batch_size // args.chunks
    ranks = f"{comm.size} rank{'s' if comm.size > 1 else ''}"
    yield f"Batch of {N} = {args.chunks} chunks of {rows} on {ranks}; {batches_per_epoch} steps an epoch"
    if N > TUNED_AT:
        factor = f"√{N / TUNED_AT:g} = {math.sqrt(N / TUNED_AT):.2g}"
        yield (
            f"The learning rate is used as given, {args.lr:g}. Recipes were tuned at batch {TUNED_AT}: with "
            f"--optimizer adamw try {factor} times their rate (docs/distributed.md)"
        )
    if rows < SMALL:
        yield f"Chunks of fewer than {SMALL} rows are slow: use a larger --batch-size or fewer --chunks"


class Leading:
    """Iterate over the records of a run on rank 0, and signal the other ranks to continue before each one.

    Arguments: run: iterator. comm: Communicator. stop: StopSignals, which also gets the signals of the other ranks.
    """

    def __init__(self, run: Any, comm: Any, stop: Any) -> None:
        self.run, self.comm, self.stop, self.over = run, comm, stop, False

    def __iter__(self):
        return self

    def __next__(self):
        _go_on(self.comm, self.stop, True)
        try:
            record = next(self.run)
        except StopIteration:
            self.over = True
            raise
        return record

    def end(self) -> None:
        """Tell the others that this is the end. Not after an exception: they may wait for another message."""
        if not self.over:
            _go_on(self.comm, self.stop, False)
        self.run.close()


def follow_first(run: Any, comm: Any, stop: Any) -> None:
    """Go through a run on another rank than the first, for as long as that goes on."""
    with closing(run):
        while _go_on(comm, stop) and next(run, None) is not None:
            pass


def _go_on(comm, stop, going=None):
    received = comm.largest(int(stop.received or 0))
    if received:
        stop.received = Signals(int(received))
    return comm.from_first(going)


def share_state(comm: Any, model: Any, optimizer: Any, average: Any, saver: Any = None) -> Any:
    """Give all ranks the state of training of rank 0, where `saver` has started or resumed the run.

    Returns: step, finished.
    """
    to_host, state = model.backend.to_host, None
    if comm.size == 1:
        return saver.step, saver.finished
    if comm.rank == 0:
        state = {
            "numbers": (saver.step, saver.finished),
            "model": model.state_dict(),
            "optimizer": {
                key: {name: to_host(a) for name, a in value.items()} if isinstance(value, dict) else value
                for key, value in vars(optimizer).items()
            },
            "average": average and (average.updates, average.state_dict()),
        }
    state = comm.from_first(state)
    if comm.rank:
        model.load_state_dict(state["model"])
        asarray = model.backend.asarray
        for key, value in state["optimizer"].items():
            arrays = {name: asarray(a).copy() for name, a in value.items()} if isinstance(value, dict) else value
            setattr(optimizer, key, arrays)
        if average:
            average.updates, arrays = state["average"]
            for name, a in arrays.items():
                average.arrays[name][...] = asarray(a)
    return state["numbers"]


@contextmanager
def silent(quiet: Any) -> Iterator[Any]:
    """Inside, with `quiet`, nothing is printed: rank 0 has said it."""
    if not quiet:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
