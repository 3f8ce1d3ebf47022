"""Runs side by side: those that differ only in the seed share a row."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from ...storage.regular_file import read_text
from ...train import EvalRecord
from ...training.history import read_history

# What does not make two runs different experiments.
OF_THE_PLACE = {
    "seed", "out", "threads", "backend", "engine", "save_every", "stop_if_unsaved", "check_finite", "tensorboard",
    "seconds", "numpy", "C compiler",
}  # fmt: skip
HAVE_A_COLUMN = {"recipe", "data_dir", "validation", "epochs", "parameters"}  # of the table, so no name repeats them


@dataclass(frozen=True)
class Run:
    """A finished or unfinished run: its settings (run.json) and the accuracy after each epoch, in 0..1."""

    path: Path
    settings: dict
    accuracies: list

    @property
    def label(self) -> str:
        return self.settings.get("recipe") or self.settings.get("model", "synann")

    @property
    def data_set(self) -> str:
        """The name of the data set and the part of it on which the accuracy was measured."""
        directory = self.settings.get("data_dir")
        part = "validation" if self.settings.get("validation") else "test"
        return f"{PurePath(directory).name if directory else 'MNIST'}, {part}"


def read_run(folder: Path) -> Run:
    """The Run of a folder that train_mnist.py wrote.

    Raises: OSError if run.json or history.jsonl cannot be read, ValueError if they are not files of a run or no epoch
        was finished.
    """
    folder = Path(folder)
    text = read_text(folder / "run.json")
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{folder / 'run.json'}: not written by train_mnist.py ({error})") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{folder / 'run.json'}: not written by train_mnist.py (not a JSON object)")
    if not all(isinstance(settings.get(key, 0), int | float) for key in ("parameters", "seconds")):
        raise ValueError(f"{folder / 'run.json'}: parameters and seconds: expected numbers")
    accuracies = [r.accuracy for r in read_history(folder / "history.jsonl") if isinstance(r, EvalRecord)]
    if not accuracies:
        raise ValueError(f"{folder}: no epoch was finished")
    return Run(folder, settings, accuracies)


def group(runs: Any) -> list[Any]:
    """Lists of runs that differ only in the seed and the place, in the order of their first run."""
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        # A run from before there was an option equals one with the option off.
        settings = {key: value for key, value in run.settings.items() if value and key not in OF_THE_PLACE}
        groups.setdefault(json.dumps(settings, sort_keys=True), []).append(run)
    return list(groups.values())


def names(groups: Any) -> list[str]:
    """One name for each group: the recipe or the model, with up to two settings where a name would occur twice."""
    labels = [runs[0].label for runs in groups]
    names = []
    for runs, label in zip(groups, labels, strict=True):
        namesakes = [other[0].settings for other, name in zip(groups, labels, strict=True) if name == label]
        settings = runs[0].settings
        differing = [
            f"{key} {value}"
            for key, value in settings.items()
            if value and key not in OF_THE_PLACE | HAVE_A_COLUMN and any(other.get(key) != value for other in namesakes)
        ]
        names.append(", ".join([label, *differing[:2]]))
    return names


def mean_and_deviation(values: Sequence[float]) -> str:
    """ "99.08 ± 0.06": mean and sample standard deviation; of a single value the value alone."""
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation}"
