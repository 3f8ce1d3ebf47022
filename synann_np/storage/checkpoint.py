"""Models and the state of training, saved in one safetensors file each. Nothing that is loaded is ever executed.

The tensors are the model's under their names ("conv1.weight", as PyTorch has them) and the optimiser's under
"optimizer.velocity.conv1.weight". If an average of the weights is kept, it is the model of the file, and the weights
that are being trained stand under "weights.conv1.weight". The metadata hold, as text: format, format_version,
package_version, model (JSON: see model_config), optimizer (JSON: class and numbers), average (JSON: its updates),
training (JSON: whatever the run wants back) and sha256, a checksum over everything else. One file is written in one
step, so its parts always belong together.

There is no generator to save: order of the examples and dropout masks are functions of (seed, epoch, step).
"""

import hashlib
import json
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from ..backend import BackendLike, get_backend
from ..sequential import Sequential
from ..version import __version__
from .atomic_file import write_atomically
from .checkpoint_parts import FORMAT, FORMAT_VERSION, OPTIMIZER, WEIGHTS, arrays_of, metadata
from .model_builder import build, build_without_memory, most_parts
from .safetensors_file import CheckpointError, encode, in_one_line, read
from .save_proof import proved_description

OTHER_FILE = "choose another file, or train the model again"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds, checked.

    Attributes:
        path: of the file.
        config, state: of the model; state is a dict name -> host array.
        average: dict with "updates" if state is an average; weights: dict like state, what was averaged. Else empty.
        optimizer: dict with "class" and "numbers", empty if none was saved.
        optimizer_arrays: dict "velocity.conv1.weight" -> host array.
        training: dict, as given to save; empty if nothing was.
    """

    path: str
    config: dict
    state: dict
    average: dict
    weights: dict
    optimizer: dict
    optimizer_arrays: dict
    training: dict

    def build(self, backend: BackendLike = "numpy") -> Sequential:
        """The model, a Sequential on that backend, with the saved weights."""
        model = build(self.config, backend, most_parts(len(self.state)))
        model.load_state_dict(self.state)
        return model


def save(path: str | PathLike, model: Any, optimizer: Any = None, training: Any = None, average: Any = None) -> None:
    """Write a model, and what is needed to train on, into one file, replaced in one step.

    Arguments:
        path: the file; its name ends in .safetensors by custom.
        model: Sequential of layers of `synann_np.layers`, on any backend: the file does not tell.
        optimizer: its state is saved too; every attribute must be a number, a tuple of numbers or a dict name -> array.
        training: dict of JSON values to come back with the file.
        average: WeightAverage of the model: what `load` gives is then the average.

    Raises: OSError if the file cannot be written (the old one is then untouched); TypeError, ValueError naming a layer
        that could not be loaded again as the same function: see save_proof.
    """
    write_atomically(path, to_bytes(model, optimizer, training, average))


def to_bytes(model: Any, optimizer: Any = None, training: Any = None, average: Any = None) -> bytes:
    """The content of the file that `save` writes. Arguments and errors as there."""
    model = getattr(model, "plain", model)  # compiled layers share the arrays of the plain ones
    texts = metadata(proved_description(model), optimizer, training, average)
    tensors = {name: model.backend.to_host(a) for name, a in arrays_of(model, optimizer, average).items()}
    texts["sha256"] = _checksum(tensors, texts)
    return encode(tensors, texts)


def load(path: str | PathLike, backend: BackendLike = "numpy") -> Sequential:
    """The model of a file, rebuilt from the file alone.

    Arguments:
        path: written by `save`, on whatever backend.
        backend: where the model shall live.

    Returns: Sequential.

    Raises: CheckpointError (a ValueError): the file is missing, no model, damaged, or of a newer version.
        BackendError: the backend cannot run here.
    """
    return read_checkpoint(path).build(get_backend(backend))


def read_checkpoint(path: str | PathLike, mapped: bool = False) -> Checkpoint:
    """Read and check a file: format, version, checksum, and that the arrays fit the configuration.

    Arguments: mapped: the arrays stay on the disk until they are looked at.

    Returns: Checkpoint. Raises: CheckpointError, as load.
    """
    return check_content(*read(path, mapped), path)


def check_content(tensors: dict[str, np.ndarray], texts: dict[str, str], path: str | PathLike) -> Checkpoint:
    """The Checkpoint of what `safetensors_file.read` gave; path: what errors call the file. Raises: CheckpointError."""
    if texts.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: a safetensors file of {len(tensors)} arrays, but not a model of synann_np: build the network "
            "and give it the arrays with synann_np.storage.torch_names.load_weights(model, file)"
        )
    version = texts.get("format_version", "")
    if not (version.isascii() and version.isdecimal()):
        raise CheckpointError(f"{path}: damaged, its format version is {version!r:.20}; {OTHER_FILE}")
    if len(version) > 9 or int(version) > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {version:.9}, written by synann_np {texts.get('package_version')!r:.20}; this "
            f"is {__version__}, which reads up to {FORMAT_VERSION}: update synann_np"
        )
    if texts.pop("sha256", None) != _checksum(tensors, texts):
        raise CheckpointError(f"{path}: damaged, its checksum is wrong; {OTHER_FILE}")
    try:
        parts = {key: json.loads(texts.get(key, "{}")) for key in ("model", "average", "optimizer", "training")}
        if not all(isinstance(part, dict) for part in parts.values()):
            raise CheckpointError("model, average, optimizer or training is not a JSON object")
        own = [name for name in tensors if not name.startswith((OPTIMIZER, WEIGHTS))]
        empty = build_without_memory(parts["model"], most_parts(len(own)))
        expected = empty.params | empty.buffers
    except Exception as error:  # JSON of any depth and numbers of any length: whatever is raised, the file is to blame
        raise CheckpointError(f"{path}: {in_one_line(error, 300)}; {OTHER_FILE}") from error
    weights, rest = _take_out(tensors, WEIGHTS), _take_out(tensors, OPTIMIZER)
    for state in [tensors, weights] if weights else [tensors]:
        _check_arrays(state, expected, path)
    model, average, optimizer, training = parts.values()
    return Checkpoint(str(path), model, tensors, average, weights, optimizer, rest, training)


def _take_out(tensors, prefix):
    """Those whose names begin so, without the prefix; they are removed from tensors."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def _checksum(tensors, texts):
    """sha256 over every text but the checksum itself, and names, dtypes, shapes and bytes of all arrays."""
    index = [[name, a.dtype.str, list(a.shape)] for name, a in sorted(tensors.items())]
    digest = hashlib.sha256(json.dumps([sorted(texts.items()), index]).encode())
    for _, a in sorted(tensors.items()):
        digest.update(np.ascontiguousarray(a))  # row-major, whatever the memory order
    return digest.hexdigest()


def _check_arrays(state, expected, path):
    if missing := sorted(expected.keys() - state.keys()):
        raise CheckpointError(f"{path}: {', '.join(map(repr, missing)):.200} missing; {OTHER_FILE}")
    if unknown := sorted(state.keys() - expected.keys()):
        raise CheckpointError(
            f"{path}: {', '.join(map(repr, unknown)):.200} unknown to its own configuration; {OTHER_FILE}"
        )
    for name, a in state.items():
        shape, dtype = tuple(expected[name].shape), np.dtype(expected[name].dtype)
        if a.shape != shape or a.dtype.name != dtype.name:
            raise CheckpointError(
                f"{path}: {name!r:.80} is {a.dtype} {a.shape!r:.80}, by its configuration {dtype} {shape!r:.80}; "
                f"{OTHER_FILE}"
            )
