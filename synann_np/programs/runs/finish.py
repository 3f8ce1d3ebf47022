"""What a run does after its last epoch: the one look at the test set, and the curves."""

import argparse
from contextlib import nullcontext
from typing import Any

from ...storage.checkpoint import load
from ...train import EvalRecord, evaluate
from ...training.history import read_history
from ..pictures.training import training_curves
from ..process import one_line
from .log import complain, describe
from .training_state import check_best


def print_final_test(model: Any, average: Any, test_set: Any, saver: Any, args: argparse.Namespace) -> bool:
    """The one look at the test set of a run that watched a validation split: with the last weights, or the best.

    Returns: False if the best weights are not there, so that nothing was tested.
    """
    best = args.keep == "best" and saver.best_epoch
    if best:
        problem = check_best(saver.folder.best, saver.best_epoch, mapped=bool(saver.shards))
        if problem:
            complain(f"No weights to test: {problem}")
            return False
        print(f"Weights of epoch {saver.best_epoch}, the best on the validation split")
    if saver.shards:
        loss, correct = saver.shards.test(saver.folder.best if best else None)
    else:
        if best:
            model, average = load(saver.folder.best, model.backend), None
        with average.in_place() if average else nullcontext():
            images, labels = (model.backend.asarray(a) for a in test_set)
            loss, correct = evaluate(model, images, labels, args.test_batch_size)
    record = EvalRecord(saver.finished, saver.step, loss, correct, len(test_set[0]))
    print("\n".join(describe(record, "Test")))
    return True


def draw_curves(folder: Any, title: str) -> None:
    """The picture of the run. What fails here is a warning: the run is saved."""
    try:
        training_curves(read_history(folder.history), folder.curves, title)
    except Exception as error:  # of a library that draws, any
        complain(f"Warning: {folder.curves} is not drawn ({one_line(error)})")
