"""Train SynaNN, or another network, on MNIST or on any data set in its format.

python scripts/train_mnist.py                        20 epochs on the data of the repository
python scripts/train_mnist.py --backend cupy         on an NVIDIA GPU
python scripts/train_mnist.py --recipe seed          the published run
python scripts/train_mnist.py --resume runs/mine     continue a run that was stopped or killed
"""

import math
import os
import shlex
import sys
import time
from contextlib import closing, nullcontext
from datetime import datetime
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

import synann_np
from synann_np import fast
from synann_np.backend import BackendError, get_backend
from synann_np.data import DataError, load_mnist, split_validation
from synann_np.models import MODELS
from synann_np.programs.broken_pipe import end_with_the_reader
from synann_np.programs.pictures.training import training_curves
from synann_np.programs.runs.arguments import describe_settings, parse_arguments, to_json
from synann_np.programs.runs.folder import RunFolder
from synann_np.programs.runs.identity import run_identity
from synann_np.programs.runs.options import HYPERPARAMETERS
from synann_np.programs.runs.parts import make_optimizer, make_tools, schedule_epochs
from synann_np.programs.runs.save_interval import to_interval
from synann_np.programs.runs.saver import RunSaver
from synann_np.programs.runs.stop_signals import StopSignals
from synann_np.programs.runs.training_state import out_of_patience
from synann_np.storage.atomic_file import write_atomically
from synann_np.train import EvalRecord, at_chance, evaluate, fit
from synann_np.training.check_finite import check_finite
from synann_np.training.history import read_history

CHANCE_WARNING = """\
Warning: the accuracy is still at chance after one epoch. The usual causes: a learning rate that is too high (all relus
dead) or far too low, images and labels that do not belong together, or data that are not scaled like MNIST."""


def train(args):
    backend = get_backend(args.backend)
    data = load_mnist(args.data_dir)
    train_set, test_set, watched, test_name = data[:2], data[2:], data[2:], "Test"
    if args.validation:
        train_set, watched = split_validation(*train_set, args.validation)
        test_name = "Validation"
    if len(train_set[0]) % args.batch_size == 1:
        raise DataError(
            f"the last of the batches would hold one image, of which batch-norm can take no variance: "
            f"choose a --batch-size that does not leave 1 of {len(train_set[0])}"
        )
    args.threads = threads_of_run(args)
    model = MODELS[args.model](args.seed, args.dtype, backend)
    batches_per_epoch = math.ceil(len(train_set[0]) / args.batch_size)
    optimizer, tools = make_optimizer(args), make_tools(args, model, batches_per_epoch)
    settings = {key: getattr(args, key) for key in HYPERPARAMETERS} | {"schedule_epochs": schedule_epochs(args)}
    in_c = args.engine == "fast" and not args.check_finite and backend.name == "numpy"
    found = fast.working_compiler() if in_c else None
    compiler = found and str(found)
    identity = run_identity(settings | {"C compiler": compiler}, model, data)
    out = args.out or Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    saving = {
        "average": tools.average, "interval": to_interval(args.save_every), "stop_on_error": args.stop_if_unsaved,
        "warn": complain,
    }  # fmt: skip
    with (
        RunFolder(out, args.resume is not None, args.overwrite) as folder,
        closing(RunSaver(folder, model, optimizer, identity, batches_per_epoch, **saving)) as saver,
        StopSignals(announce_stop) as stop,
    ):
        if args.resume is None:
            saver.start()
        else:
            for note in saver.resume(args.accept_changes):
                complain(f"Resumed, though not the same run: {note}")
            print(f"Resumed {out} after {saver.finished} epochs and {saver.step} steps")
        versions = {"synann_np": synann_np.__version__, "numpy": np.__version__, "backend": backend.name}
        versions["C compiler"] = compiler
        write_atomically(folder.settings, to_json(args, **versions).encode())
        print("\n".join(describe_settings(args)))
        run = fit(
            runner(model, args), optimizer, train_set, watched, args.epochs,
            batch_size=args.batch_size, test_batch_size=args.test_batch_size, seed=args.seed,
            log_interval=args.log_interval, step=saver.step, finished=saver.finished, tools=tools,
        )  # fmt: skip
        follow(run, saver, stop, test_name, args)
        saved = saver.save_if_new()
        stopped_early = out_of_patience(saver.finished, saver.best_epoch, args.patience)
        if stop.received and saver.finished < args.epochs and not stopped_early:
            state = "saved" if saved else "NOT saved: what follows the last save is lost"
            print(f"Stopped after {saver.finished} epochs and {saver.step} steps, {state}. {how_to_continue(out)}")
            return 128 + stop.received

        if stopped_early:
            print(f"Stopped early: no better epoch since epoch {saver.best_epoch}")
        if args.validation:
            print("\n".join(describe(final_test(model, tools.average, test_set, saver, args), "Test")))
        title = f"{args.model} on {args.data_dir or 'MNIST'}, seed {args.seed}"
        training_curves(read_history(folder.history), folder.curves, title)
    print(f"Model, history and curves: {out}")
    return 0 if saved else 2


def threads_of_run(args):
    """The threads asked for, at most one for each core: more would wait for each other."""
    cores = fast.usable_cores()
    if (args.threads or 1) > cores:
        complain(f"--threads {args.threads}: this process may use {cores} cores, so {cores} threads are used")
    return min(args.threads or cores, cores)


def runner(model, args):
    """What is trained in the place of the model, with the model's own arrays."""
    if args.check_finite:
        return check_finite(model)
    if args.engine == "plain":
        return model
    fast.tune_process()
    return fast.compile(model, args.threads, input_gradient=False)


def final_test(model, average, test_set, saver, args):
    """The one look at the test set of a run that watched a validation split: with the last weights, or the best."""
    if args.keep == "best" and saver.best_epoch:
        print(f"Weights of epoch {saver.best_epoch}, the best on the validation split")
        model, average = synann_np.load(saver.folder.best, model.backend), None
    with average.in_place() if average else nullcontext():
        loss, correct = evaluate(model, *(model.backend.asarray(a) for a in test_set), args.test_batch_size)
    return EvalRecord(saver.finished, saver.step, loss, correct, len(test_set[0]))


def follow(run, saver, stop, test_name, args):
    """Show and save the records of a run, until it ends, has lost its patience or got a signal."""
    if out_of_patience(saver.finished, saver.best_epoch, args.patience):
        return  # a resumed run that had stopped here
    epochs = args.epochs
    finished_before, started = saver.finished, time.perf_counter()
    batches = saver.batches_per_epoch
    with tqdm(total=epochs * batches, initial=saver.step, unit="batch", disable=None, leave=False) as bar:
        for record in run:
            bar.update(record.step - bar.n)
            for line in describe(record, test_name):
                tqdm.write(line, file=sys.stdout)
            if isinstance(record, EvalRecord):
                seconds = (time.perf_counter() - started) / (record.epoch - finished_before)
                tqdm.write(time_left(seconds, record.epoch, epochs), file=sys.stdout)
                if record.epoch == 1 and at_chance(record):
                    tqdm.write(CHANCE_WARNING, file=sys.stderr)
            sys.stdout.flush()
            saver.after(record)
            if stop.received or out_of_patience(saver.finished, saver.best_epoch, args.patience):
                break


def describe(record, test_name):
    """The lines of the published log."""
    if isinstance(record, EvalRecord):
        yield (
            f"\n{test_name} set: Average loss: {record.loss:.4f}, "
            f"Accuracy: {record.correct}/{record.total} ({record.accuracy:.2%})\n"
        )
    else:
        share = f"{record.seen}/{record.total} ({record.seen / record.total:.0%})"
        yield f"Train Epoch: {record.epoch} [{share}]\tLoss: {record.loss:.6f}"


def time_left(seconds, epoch, epochs):
    left = seconds * (epochs - epoch)
    return f"Epoch {epoch} of {epochs}: {seconds:.1f} s an epoch, about {left / 60:.1f} min left"


def how_to_continue(out):
    return f"Continue: python scripts/train_mnist.py --resume {shlex.quote(str(out))}"


def announce_stop(received):
    # Straight to the descriptor: a signal may arrive in the middle of a print.
    os.write(2, f"\n{received.name}: saving at the next line of the log (Ctrl-C again: stop at once)\n".encode())


def complain(text):
    tqdm.write(text, file=sys.stderr)


def main(argv=None):
    args = parse_arguments(argv, __doc__)
    try:
        return train(args)
    except (BackendError, ValueError, OSError) as error:  # ValueError: bad data, checkpoint, folder or split
        place = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        print(f"train_mnist: {place}", file=sys.stderr)
        return 2
    except ArithmeticError as error:  # not finite: loss, weights, or found by --check-finite
        print(f"train_mnist: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("train_mnist: interrupted; --resume continues from the last save", file=sys.stderr)
        return 130


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
