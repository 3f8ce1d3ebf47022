"""What goes into the file of a model: its texts and its arrays. See checkpoint.py."""

import json
from typing import Any

import numpy as np

from ..version import __version__

FORMAT = "synann_np"
FORMAT_VERSION = 1
OPTIMIZER, WEIGHTS = "optimizer.", "weights."  # beginnings of the names of tensors that are not the model's


def metadata(config: Any, optimizer: Any = None, training: Any = None, average: Any = None) -> dict[str, str]:
    """The texts of a file, dict str -> str, without the checksum. config: of the model, see model_config."""
    texts = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "package_version": __version__,
        "model": _to_json(config),
    }
    if average is not None:
        texts["average"] = _to_json({"updates": average.updates})
    if optimizer is not None:
        numbers = {key: value for key, value in vars(optimizer).items() if not isinstance(value, dict)}
        texts["optimizer"] = _to_json({"class": type(optimizer).__name__, "numbers": numbers})
    if training is not None:
        texts["training"] = _to_json(training)
    return texts


def arrays_of(model: Any, optimizer: Any = None, average: Any = None) -> dict[str, Any]:
    """What a file holds, dict name in the file -> the array itself, on its backend."""
    arrays = model.params | model.buffers
    if average is not None:
        arrays = average.arrays | {f"{WEIGHTS}{name}": a for name, a in arrays.items()}
    if optimizer is not None:
        arrays = arrays | {f"{OPTIMIZER}{key}.{name}": a for key, name, a in _optimizer_arrays(optimizer)}
    return arrays


def _optimizer_arrays(optimizer):
    for key, value in vars(optimizer).items():
        if isinstance(value, dict):
            yield from ((key, name, a) for name, a in value.items())


def _to_json(value):
    return json.dumps(value, sort_keys=True, default=_plain_number)


def _plain_number(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot save {value!r:.80}: expected numbers, words, lists and dicts")
