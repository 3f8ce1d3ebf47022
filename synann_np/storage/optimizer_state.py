"""The state of an optimiser out of a checkpoint: checked as a whole, then given back."""

import inspect
import math
from typing import Any

import numpy as np

from .safetensors_file import CheckpointError, in_one_line


def restore_optimizer(checkpoint: Any, optimizer: Any, model: Any) -> None:
    """Give an optimiser the state that it had, in place. All or nothing.

    Arguments:
        checkpoint: from read_checkpoint.
        optimizer: of the same class, with any hyperparameters: the saved ones replace them.
        model: built from the same checkpoint; the arrays come to live on its backend.

    Raises: CheckpointError if the file holds no state of such an optimiser, one with numbers that its class refuses, or
        one that does not fit the model; the optimiser is then unchanged.
    """
    cls, attributes = type(optimizer), vars(optimizer)
    numbers = {key: value for key, value in attributes.items() if not isinstance(value, dict)}
    saved = checkpoint.optimizer.get("numbers")
    if checkpoint.optimizer.get("class") != cls.__name__ or not _are_like(saved, numbers):
        raise CheckpointError(f"{checkpoint.path}: no state of an optimiser {cls.__name__}; start a new run")
    values = numbers | {key: tuple(v) if isinstance(v, list) else v for key, v in saved.items()}
    arguments = {key: value for key, value in values.items() if key in inspect.signature(cls).parameters}
    for key in values.keys() - arguments.keys():
        if type(numbers[key]) is int and not (type(values[key]) is int and 0 <= values[key] < 2**63):
            raise CheckpointError(f"{checkpoint.path}: the optimiser's {key} is {values[key]!r:.40}; start a new run")
    arrays: dict[str, dict[str, Any]] = {key: {} for key in attributes.keys() - numbers.keys()}
    for full_name, a in checkpoint.optimizer_arrays.items():
        key, _, name = full_name.partition(".")
        if key not in arrays or name not in model.params or model.params[name].shape != a.shape:
            full_name = f"optimizer.{full_name}"
            raise CheckpointError(f"{checkpoint.path}: {full_name!r:.80} does not fit the model; start a new run")
        arrays[key][name] = model.backend.xp.array(a, dtype=model.params[name].dtype)
    try:
        expected = _names_after_a_step(cls(**arguments), {name for of_key in arrays.values() for name in of_key})
    except Exception as error:  # the class refuses numbers that it could not have saved
        raise CheckpointError(
            f"{checkpoint.path}: the state of the optimiser is refused ({in_one_line(error, 160)}); start a new run"
        ) from error
    if {key: set(of_key) for key, of_key in arrays.items()} != expected:
        raise CheckpointError(f"{checkpoint.path}: arrays of the optimiser are missing; start a new run")
    for key, value in {**values, **arrays}.items():
        setattr(optimizer, key, value)


def _names_after_a_step(optimizer, names):
    """Which dict of a fresh optimiser holds arrays of which names after a step on parameters of these names."""
    with np.errstate(all="ignore"):
        optimizer.step({name: np.ones(1) for name in names}, {name: np.ones(1) for name in names})
    return {key: set(value) for key, value in vars(optimizer).items() if isinstance(value, dict)}


def _are_like(saved, numbers):
    """Whether a value out of JSON is a dict of these names with a number for a number, a list for a tuple.

    A name that numbers has and saved has not is an option that came later: it stays as it is.
    """

    def alike(a, b):
        if isinstance(b, tuple):
            return isinstance(a, list) and len(a) == len(b) and all(map(alike, a, b))
        if isinstance(b, str) or a is None:
            return type(a) is type(b)
        return isinstance(a, int | float) and math.isfinite(a)

    return (
        isinstance(saved, dict) and saved.keys() <= numbers.keys() and all(alike(saved[k], numbers[k]) for k in saved)
    )
