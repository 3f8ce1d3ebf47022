"""How a run is taken up again where it was saved."""

from typing import Any

from ...storage.checkpoint import CheckpointError
from ...storage.optimizer_state import restore_optimizer
from .history_file import HistoryFile
from .identity import differences
from .training_state import check_best, training_state


def take_up(saver: Any, accept_changes: bool = False) -> Any:
    """Give a RunSaver, its model and its optimiser the state of `last`. See RunSaver.resume."""
    if not saver.folder.last.exists():
        saver.folder.check_nothing_began()
        saver.start()
        return ["nothing was saved here yet: starting from the beginning"]
    checkpoint = saver.read(saver.folder.last)
    state = training_state(checkpoint)
    changes = differences(state["identity"], saver.identity)
    if changes and not accept_changes:
        raise CheckpointError(
            f"{saver.folder.path}: cannot be continued as the same run: {'; '.join(changes.values())} "
            "(add --accept-changes to continue all the same)"
        )
    wanted = {key: value for key, value in vars(saver.optimizer).items() if key in changes}
    try:
        saver.model.load_state_dict(checkpoint.state)
        restore_optimizer(checkpoint, saver.optimizer, saver.model)
        _restore_average(saver, checkpoint)
    except ValueError as error:
        raise CheckpointError(f"{saver.folder.last}: does not fit this run ({error})") from error
    for key, value in wanted.items():
        setattr(saver.optimizer, key, value)
    for key in ("step", "finished", "best_correct", "best_epoch"):
        setattr(saver, key, state[key])
    notes = [*changes.values(), *_take_up_best(saver, accept_changes)]
    if state["batches_per_epoch"] != saver.batches_per_epoch:
        saver.step = saver.finished * saver.batches_per_epoch
        notes.append(f"an epoch has other batches now: epoch {saver.finished + 1} begins again")
    try:
        saver.history = HistoryFile(saver.folder.history, state["history_size"], state["history_sha256"])
    except ValueError as error:
        raise CheckpointError(f"{error}; put the right one there, or start a new run") from error
    saver.saved = saver.step, saver.finished
    return notes


def _take_up_best(saver, accept_changes):
    """Check `best` against the state. Returns: list of notes, as resume."""
    problem = check_best(saver.folder.best, saver.best_epoch, mapped=bool(saver.shards))
    if problem is None:
        return []
    if saver.step == saver.best_epoch * saver.batches_per_epoch == saver.finished * saver.batches_per_epoch:
        # `last` is that epoch; if it cannot be written now, it is with the next save.
        saver.unsaved_best = saver.folder.last.read_bytes()
        if saver.write(saver.folder.best, saver.unsaved_best):
            saver.unsaved_best = None
        return [f"{problem}; written again from {saver.folder.last.name}"]
    if saver.needs_best and not accept_changes:
        raise CheckpointError(f"{problem}; put it back, or add --accept-changes to choose among the epochs to come")
    saver.best_correct = saver.best_epoch = 0
    return [f"{problem}; the best is chosen among the epochs to come"]


def _restore_average(saver, checkpoint):
    if saver.average is None:
        return
    if checkpoint.weights:
        saver.average.restore(checkpoint)
    else:  # the run had none, and the change was accepted
        saver.average.reset()
