"""What computes in a run: plain or compiled layers, and the number of threads."""

import argparse
from typing import Any

from ... import fast
from ...data import DataError
from ...training.check_finite import check_finite
from .log import complain


def threads_of_run(args: argparse.Namespace, comm: Any) -> int:
    """The threads asked for, at most one for each core: more would wait for each other.

    By default all cores in one process, one thread in each of several ranks.
    """
    cores = fast.usable_cores()
    if (args.threads or 1) > cores:
        complain(f"--threads {args.threads}: this process may use {cores} cores, so {cores} threads are used")
    return min(args.threads or (cores if comm.size == 1 else 1), cores)


def runner(model: Any, args: argparse.Namespace, comm: Any) -> Any:
    """What is trained in the place of the model, with the model's own arrays.

    Of several ranks, the first of each machine compiles the loops, and the others find them in the cache.
    """
    if args.check_finite:
        return check_finite(model)
    if args.engine == "plain" or (args.chunks and model.backend.name != "numpy"):
        return model
    fast.tune_process()
    if comm.local_rank:
        comm.barrier()
    compiled = fast.compile(model, args.threads, input_gradient=False)
    if not comm.local_rank:
        comm.barrier()
    return compiled


def check_batches(model: Any, images: int, batch_size: int) -> None:
    """Raises: DataError if a batch would hold one image, of which batch-norm can take no variance."""
    normalised = any(name.endswith("running_var") for name in model.buffers)
    if normalised and 1 in (min(batch_size, images), images % batch_size):
        raise DataError(
            "a batch would hold one image, of which batch-norm can take no variance: choose a --batch-size of 2 or "
            f"more that does not leave 1 of {images}"
        )
