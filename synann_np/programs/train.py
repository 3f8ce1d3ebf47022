"""Train SynaNN, or another network, on MNIST or on your own data set.

synann train --recipe quick           99 % in seconds
synann train                          20 epochs of the published network
synann train --backend cupy           on an NVIDIA GPU
synann train --recipe seed            the published run
synann train --resume runs/mine       continue a run that was stopped or killed
"""

import argparse
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import numpy as np

from .. import fast
from ..backend import get_backend
from ..data import load_dataset, split_validation
from ..distributed.file_layout import as_one_process
from ..distributed.nccl import with_nccl
from ..storage.atomic_file import write_atomically
from ..train import fit
from ..training.callbacks import out_of_patience
from .process import status_of
from .runs.arguments import describe_classes, describe_settings, parse_arguments, settings_of_identity, to_json
from .runs.board import require_tensorboard, show_curves, tensorboard
from .runs.elapsed import seconds_since_start
from .runs.engine import check_batches, runner, threads_of_run
from .runs.finish import draw_curves, print_final_test
from .runs.folder import RunFolder
from .runs.identity import about_run, run_identity
from .runs.log import announce_stop, command, complain, continuation, follow
from .runs.parts import make_model, make_optimizer, make_tools
from .runs.ranks import Leading, describe_division, divided, follow_first, on_all_ranks, shards_of, share_state
from .runs.save_interval import to_interval
from .runs.saver import RunSaver
from .runs.stop_signals import StopSignals
from .standard_streams import UNREAD, stay_when_unread, take_failure


def main(argv: Sequence[str] | None = None, prog: str = "train_mnist") -> Any:
    """The program. Returns: its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_arguments(argv, __doc__, prog)
    if not argv:
        print(f"20 epochs of the published network. In seconds, and more accurate: {command(prog)} --recipe quick")
    with stay_when_unread(), np.errstate(all="ignore"):  # numbers that are not finite end a run with a line of its own
        status = status_of(prog, on_all_ranks, train, args, prog)
        unread = isinstance(take_failure(), BrokenPipeError)  # another failure has been warned of
        return status or (UNREAD if unread else 0)


def train(args: argparse.Namespace, prog: str, comm: Any) -> Any:
    """Train as the arguments say, on this rank. Returns: the exit status, on rank 0."""
    require_tensorboard(args.tensorboard)
    backend = get_backend(args.backend)
    data = load_dataset(args.data_dir)
    train_set, test_set, watched, test_name = data[:2], data[2:], data[2:], "Test"
    if args.validation:
        split = {} if args.validation_seed is None else {"seed": args.validation_seed}
        train_set, watched = split_validation(*train_set, args.validation, **split)
        test_name = "Validation"
    args.threads = threads_of_run(args, comm)
    comm = with_nccl(comm, backend)
    model, classes = make_model(args, backend, data, train_set[0], comm)
    check_batches(model, len(train_set[0]), args.batch_size)
    batches_per_epoch = math.ceil(len(train_set[0]) / args.batch_size)
    parallel = divided(runner(model, args, comm), comm, args)
    optimizer, tools = make_optimizer(args), make_tools(args, model, batches_per_epoch)
    shards = shards_of(comm, args, parallel, optimizer, tools.average, test_set)
    run = partial(
        fit, parallel, optimizer, train_set, watched, args.epochs,
        batch_size=args.batch_size, test_batch_size=args.test_batch_size, seed=args.seed,
        log_interval=args.log_interval, tools=tools,
    )  # fmt: skip
    if comm.rank:
        with StopSignals() as stop:
            share = partial(share_state, comm, model, optimizer, tools.average, shards=shards)
            return follow_first(share, run, comm, stop, shards.orders if shards else {})
    in_c = args.engine == "fast" and not args.check_finite and backend.name == "numpy"
    found = fast.working_compiler() if in_c else None
    compiler = found and str(found)
    identity = run_identity(settings_of_identity(args) | {"C compiler": compiler}, as_one_process(model), data)
    saving = {
        "average": tools.average, "interval": to_interval(args.save_every), "needs_best": args.keep == "best",
        "stop_on_error": args.stop_if_unsaved, "warn": complain, "shards": shards,
    }  # fmt: skip
    with (
        RunFolder(args.out, args.resume is not None, args.overwrite)
        if args.out
        else RunFolder.named_by_date("runs") as folder,
        closing(RunSaver(folder, model, optimizer, identity, batches_per_epoch, **saving)) as saver,
        StopSignals(announce_stop) as stop,
        ExitStack() as boards,
    ):
        if args.resume is not None:
            for note in saver.resume(args.accept_changes):
                complain(f"Resumed, though not the same run: {note}")
            print(f"Resumed {folder.path} after {saver.finished} epochs and {saver.step} steps")
            if saver.finished >= args.epochs:
                print(f"The run is finished: --epochs {saver.finished + 1} or more would train on")
        about = about_run(model, comm, compiler)
        # First of all files: a run that is killed is continued with its own settings.
        write_atomically(folder.settings, to_json(args, **about).encode())
        if args.resume is None:
            saver.start()
        callbacks = boards.enter_context(tensorboard(args.tensorboard, model, optimizer, saver.step))
        print("\n".join([*describe_settings(args), *describe_classes(model.class_names)]))
        print("\n".join(describe_division(comm, args, batches_per_epoch)))
        step, finished = share_state(comm, model, optimizer, tools.average, saver, shards)
        records = Leading(run(step=step, finished=finished, callbacks=callbacks), comm, stop)
        unread = follow(records, saver, stop, test_name, args, classes)
        if not shards:  # else the others are needed to save and to test
            records.end()
        saved = saver.save_if_new()
        stopped_early = out_of_patience(saver.finished, saver.best_epoch, args.patience)
        if (stop.received or unread) and saver.finished < args.epochs and not stopped_early:
            state = "saved" if saved else "NOT saved: what follows the last save is lost"
            resuming = continuation(prog, folder.path)
            records.end()
            print(f"Stopped after {saver.finished} epochs and {saver.step} steps, {state}. {resuming}")
            return 128 + stop.received if stop.received else UNREAD
        if stopped_early:
            print(f"Stopped early: no better epoch since epoch {saver.best_epoch}")
        if args.validation:
            saved &= print_final_test(model, tools.average, test_set, saver, args)
        records.end()
        draw_curves(folder, f"{args.model} on {args.data_dir or 'MNIST'}, seed {args.seed}")
        show_curves(callbacks, folder.curves, saver.step)
        if args.resume is None:  # the seconds of a run in several parts are not known
            saved &= saver.write(folder.settings, to_json(args, **about, seconds=seconds_since_start()).encode())
    print(f"Model, history and curves: {folder.path}")
    return 0 if saved else 2
