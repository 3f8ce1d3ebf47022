"""A run on several ranks: rank 0 writes, prints and decides, the others compute the same steps."""

import argparse
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, redirect_stderr, redirect_stdout
from signal import Signals
from typing import Any

from ...distributed import DataParallel, communicator
from ...distributed.chunks import SMALL
from ..process import status_of
from .shards import Shards

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
    return DataParallel(model, comm, args.chunks)


def shards_of(
    comm: Any, args: argparse.Namespace, model: Any, optimizer: Any, average: Any, test_set: tuple
) -> Shards | None:
    """The Shards of a run with --shard, else None."""
    return Shards(comm, model, optimizer, average, test_set, args.test_batch_size) if args.shard else None


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
    if args.shard:
        yield f"Of the {args.hidden} units of the synapse layer, each rank has {args.hidden // comm.size}"
    if rows < SMALL:
        yield f"Chunks of fewer than {SMALL} rows are slow: use a larger --batch-size or fewer --chunks"


class Leading:
    """Iterate over the records of a run on rank 0, and signal the other ranks to continue before each one.

    Arguments: run: iterator. comm: Communicator. stop: StopSignals, which also gets the signals of the other ranks.
    """

    def __init__(self, run: Any, comm: Any, stop: Any) -> None:
        self.run, self.comm, self.stop, self.ended = run, comm, stop, False

    def __iter__(self):
        return self

    def __next__(self):
        self.comm.from_first(("next",))
        _hear_signals(self.comm, self.stop)
        return next(self.run)

    def end(self) -> None:
        """Tell the others that this is the end. Not after an exception: they may wait for another message."""
        if not self.ended:
            self.comm.from_first(("end",))
        self.ended = True
        self.run.close()


def follow_first(share: Callable, start: Callable, comm: Any, stop: Any, orders: dict[str, Callable]) -> None:
    """Go through a run on another rank than the first, by its orders, until the end.

    Arguments: share: function that calls share_state; start: function of step and finished -> run. comm, stop: as
    Leading's. orders: dict name -> function, of what else rank 0 may tell the others to do, see Shards.
    """
    with ExitStack() as at_the_end:
        while (order := comm.from_first(None))[0] != "end":
            name, *arguments = order
            if name == "share":
                step, finished = share()
                run = at_the_end.enter_context(closing(start(step=step, finished=finished)))
            elif name == "next":
                _hear_signals(comm, stop)
                next(run, None)
            else:
                orders[name](*arguments)


def _hear_signals(comm, stop):
    received = comm.largest(int(stop.received or 0))
    if received:
        stop.received = Signals(int(received))


def share_state(comm: Any, model: Any, optimizer: Any, average: Any, saver: Any = None, shards: Any = None) -> Any:
    """Give all ranks the state of training of rank 0, where `saver` has started or resumed the run.

    Returns: step, finished.
    """
    to_host, state = model.backend.to_host, None
    if comm.size == 1:
        return saver.step, saver.finished
    if comm.rank == 0:
        comm.from_first(("share",))
        names = shards.names if shards else ()  # what is divided comes from the file

        def whole(arrays):
            return {name: to_host(a) for name, a in arrays.items() if name not in names}

        state = {
            "numbers": (saver.step, saver.finished),
            "model": whole(model.params | model.buffers),
            "optimizer": {
                key: whole(value) if isinstance(value, dict) else value for key, value in vars(optimizer).items()
            },
            "average": average and (average.updates, whole(average.arrays)),
        }
    state = comm.from_first(state)
    if comm.rank:
        model.load_state_dict(model.params | model.buffers | state["model"])
        asarray = model.backend.asarray
        for key, value in state["optimizer"].items():
            arrays = {name: asarray(a).copy() for name, a in value.items()} if isinstance(value, dict) else value
            setattr(optimizer, key, arrays)
        if average:
            average.updates, arrays = state["average"]
            for name, a in arrays.items():
                average.arrays[name][...] = asarray(a)
    if shards:
        shards.share()
    return state["numbers"]


@contextmanager
def silent(quiet: Any) -> Iterator[Any]:
    """Inside, with `quiet`, nothing is printed: rank 0 has said it."""
    if not quiet:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
