"""Where a run stood when it was saved, checked."""

from os import PathLike
from typing import Any

from ...storage.checkpoint import CheckpointError, read_checkpoint

NUMBERS = ("step", "finished", "best_correct", "best_epoch", "batches_per_epoch", "history_size")


def training_state(checkpoint: Any) -> Any:
    """The dict that RunSaver put into a checkpoint.

    step: updates done; finished: epochs done; best_correct, best_epoch: right answers and number of the best epoch, 0
    before the first; batches_per_epoch; history_size, history_sha256: of the history then; identity: of the run.

    Raises: CheckpointError: there is none, or not all of it.
    """
    state = checkpoint.training
    if not (
        all(type(state.get(key)) is int and state[key] >= 0 for key in NUMBERS)
        and isinstance(state.get("history_sha256"), str)
        and isinstance(state.get("identity"), dict)
        and 0 <= state["step"] - state["finished"] * state["batches_per_epoch"] <= state["batches_per_epoch"]
    ):
        raise CheckpointError(f"{checkpoint.path}: holds a model but no state of training; start a new run")
    return state


def check_best(path: str | PathLike, best_epoch: Any, mapped: bool = False) -> Any:
    """What is wrong with the file of the best epoch so far, None if nothing is.

    A file of a later epoch is right: the run was killed between two saves, and will come to that epoch again.

    Arguments: mapped: see read_checkpoint.
    """
    if not best_epoch:
        return None
    try:
        found = training_state(read_checkpoint(path, mapped))["best_epoch"]
    except CheckpointError as error:
        return str(error)
    return None if found >= best_epoch else f"{path}: of epoch {found}, but the best was epoch {best_epoch}"
