"""What stands where in the file of a model, some of whose layers are divided among ranks."""

import hashlib
import json
from typing import Any

import numpy as np

from ..layers import Synapse
from ..sequential import Sequential
from ..storage.checkpoint import FORMAT, FORMAT_VERSION
from ..storage.model_config import describe
from ..storage.safetensors_file import CODES
from ..version import __version__

PLACEHOLDER = "0" * 64  # of the checksum, which is known when the rest is on the disk


def whole_shapes(model: Any, comm: Any) -> dict[str, Any]:
    """dict name -> (shape in one process, array here, whether the array is a part of it)."""
    sharded = {
        f"{name}.{key}"
        for name, layer in model.layers.items()
        if getattr(layer, "sharded", False)
        for key in layer.params | layer.buffers
    }
    return {
        name: ((len(a) * comm.size, *a.shape[1:]) if name in sharded else a.shape, a, name in sharded)
        for name, a in (model.params | model.buffers).items()
    }


def texts_of(model: Any) -> dict[str, str]:
    """The metadata, with a Synapse described for every ShardedSynapse."""
    layers = []
    for name, layer in model.layers.items():
        if getattr(layer, "sharded", False):
            whole = Synapse.__new__(Synapse)
            whole.config, whole.params, whole.buffers = layer.config, {}, {}
            layer = whole
        layers.append((name, layer))
    whole_model = Sequential(layers, model.dtype)
    whole_model.class_names, whole_model.in_shape = model.class_names, model.in_shape
    config = describe(whole_model)
    return {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "package_version": __version__,
        "model": json.dumps(config, sort_keys=True),
        "sha256": PLACEHOLDER,
    }


def header(arrays: Any, texts: Any, dtype: np.dtype) -> bytes:
    """Length and JSON of the header, as storage.safetensors_file.encode writes them."""
    entries, position = {"__metadata__": dict(sorted(texts.items()))}, 0
    for name, (shape, _, _) in sorted(arrays.items()):
        end = position + int(np.prod(shape, dtype=object)) * dtype.itemsize
        entries[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def checksum(file: Any, start: Any, arrays: Any, texts: Any, dtype: np.dtype) -> str:
    """As storage.checkpoint computes it, of what is in the file behind its header."""
    index = [[name, dtype.str, list(shape)] for name, (shape, _, _) in sorted(arrays.items())]
    others = {key: text for key, text in texts.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps([sorted(others.items()), index]).encode())
    file.seek(start)
    while block := file.read(2**22):
        digest.update(block)
    return digest.hexdigest()
