"""What a run's numbers depend on: to say plainly why a run cannot be continued as the same run."""

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...distributed.file_layout import sharded_names, whole_shapes
from ...storage.model_config import ABOUT, describe
from ...version import __version__

SOURCE = {".py", ".c", ".h", ".cu"}
AFTER_TRAINING = (
    "bridges/", "mathematics/circuit/", "mathematics/explain.py", "mathematics/odds.py", "playground/", "risk/",
    "programs/ablation/", "programs/digits/", "programs/examples/", "programs/pictures/",
)  # fmt: skip
PACKAGE = Path(__file__).parents[2]


def run_identity(settings: dict[str, Any], model: Any, data: Iterable[np.ndarray]) -> dict[str, Any]:
    """Everything that the weights and the history of a run are a function of.

    Arguments:
        settings: dict name -> number, text or None: the hyperparameters.
        model: Sequential. data: host arrays, uint8, in a fixed order.

    Returns: dict name -> JSON value; equal dicts promise equal bytes on NumPy, on one machine and thread setting.
    """
    digest = hashlib.sha256()
    for a in data:
        digest.update(f"{a.dtype.str}{a.shape}".encode())
        digest.update(np.ascontiguousarray(a).data)
    network = {key: value for key, value in describe(model).items() if key not in ABOUT}
    return {
        **settings,
        "network": hashlib.sha256(json.dumps(network).encode()).hexdigest()[:16],
        "dtype": np.dtype(model.dtype).name,
        "backend": model.backend.name,
        "data set": digest.hexdigest()[:16],
        "synann_np": __version__,
        "source code": source_hash(),
        "numpy": np.__version__,
    }


def about_run(model: Any, comm: Any, compiler: str | None) -> dict[str, Any]:
    """What run.json says in addition to the settings: versions, the device, the number of parameters in all processes.

    Arguments: compiler: of the loops in C.
    """
    shapes = whole_shapes(model.params, sharded_names(model), comm.size)
    return {
        "synann_np": __version__,
        "numpy": np.__version__,
        "backend": model.backend.name,
        "C compiler": compiler,
        "parameters": sum(math.prod(shape) for shape, *_ in shapes.values()),
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """What changed between two identities: dict name -> "lr was 0.01 and is 0.1", empty if nothing did."""
    keys = [*before, *(key for key in now if key not in before)]
    return {
        key: f"{key} was {before.get(key)!s:.40} and is {now.get(key)!s:.40}"
        for key in keys
        if before.get(key) != now.get(key)
    }


def source_hash() -> str:
    """16 hex digits over the source files on which the numbers of a run depend: another version of them, another hash.

    What systems and editors leave in a folder is not source code (.DS_Store, x.py~, .#x.py), and what draws, explains,
    classifies or exports comes after training.
    """
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        name = path.relative_to(PACKAGE).as_posix()
        if path.suffix in SOURCE and path.name[0] not in ".#" and not name.startswith(AFTER_TRAINING):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
