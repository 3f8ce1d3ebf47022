"""What a run of training prints: the lines of the published log, a bar on a terminal, and warnings."""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ...train import EvalRecord, at_chance
from ...training.callbacks import out_of_patience
from ..standard_streams import take_failure

CHANCE_WARNING = """\
Warning: the accuracy is still at chance after one epoch. The usual causes: a learning rate that is too high (all relus
dead) or far too low, images and labels that do not belong together, or data that are not scaled like MNIST."""


def follow(run: Any, saver: Any, stop: Any, test_name: str, args: argparse.Namespace, classes: int = 10) -> bool:
    """Show and save the records of a run, until it ends, has lost its patience, got a signal, or nobody reads its log.

    Returns: whether nobody reads it.
    """
    from tqdm import tqdm

    if out_of_patience(saver.finished, saver.best_epoch, args.patience):
        return False  # a resumed run that had stopped here
    epochs = args.epochs
    lost = None
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
                if record.epoch == 1 and at_chance(record, classes):
                    tqdm.write(CHANCE_WARNING, file=sys.stderr)
            saver.after(record)
            failure = take_failure()
            if isinstance(failure, BrokenPipeError):
                return True
            if failure and not lost:
                complain(f"Warning: standard output cannot be written ({failure.strerror}); training continues")
            lost = lost or failure
            if stop.received or out_of_patience(saver.finished, saver.best_epoch, args.patience):
                break
    return False


def describe(record: Any, test_name: str) -> Iterator[str]:
    """The lines of the published log."""
    if isinstance(record, EvalRecord):
        yield (
            f"\n{test_name} set: Average loss: {record.loss:.4f}, "
            f"Accuracy: {record.correct}/{record.total} ({record.accuracy:.2%})\n"
        )
    else:
        share = f"{record.seen}/{record.total} ({record.seen / record.total:.0%})"
        yield f"Train Epoch: {record.epoch} [{share}]\tLoss: {record.loss:.6f}"


def time_left(seconds: float, epoch: int, epochs: int) -> str:
    """A line on the pace of a run."""
    left = seconds * (epochs - epoch)
    return f"Epoch {epoch} of {epochs}: {seconds:.1f} s an epoch, about {left / 60:.1f} min left"


def complain(text: str) -> None:
    """A line on standard error that does not disturb the bar."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


def continuation(prog: str, out: Any) -> str:
    """The command that resumes the run."""
    return f"Continue: {command(prog)} --resume {shlex.quote(str(out))}"


def command(prog: str) -> str:
    """What a user types to run the program."""
    return prog if " " in prog else f"python scripts/{prog}.py"


def announce_stop(received: signal.Signals) -> None:
    """Straight to the descriptor: a signal may arrive in the middle of a print."""
    with suppress(OSError):
        os.write(2, f"\n{received.name}: saving at the next line of the log (Ctrl-C again: stop at once)\n".encode())
