"""What stands where in the file of a model, some of whose layers are divided among ranks."""

import json
from typing import Any

import numpy as np

from ..layers import Synapse
from ..sequential import Sequential
from ..storage.safetensors_file import CODES


def sharded_names(model: Any) -> set[str]:
    """The names of the parameters and buffers of which every rank has a part: "fcn.beta"."""
    return {
        f"{name}.{key}"
        for name, layer in model.layers.items()
        if getattr(layer, "sharded", False)
        for key in layer.params | layer.buffers
    }


def is_sharded(name: str, names: Any) -> bool:
    """Whether an array of a file, "optimizer.velocity.fcn.beta", belongs to one of these parameters."""
    return ".".join(name.split(".")[-2:]) in names


def whole_shapes(arrays: dict[str, Any], names: Any, size: int) -> dict[str, Any]:
    """dict name -> (shape in one process, array here, whether the array is a part of it)."""
    return {
        name: ((len(a) * size, *a.shape[1:]) if is_sharded(name, names) else tuple(a.shape), a, is_sharded(name, names))
        for name, a in arrays.items()
    }


def as_one_process(model: Any) -> Sequential:
    """The model with a Synapse, without its arrays, in the place of every ShardedSynapse: for its description."""
    layers = []
    for name, layer in getattr(model, "plain", model).layers.items():
        if getattr(layer, "sharded", False):
            whole = Synapse.__new__(Synapse)
            whole.config, whole.params, whole.buffers = layer.config, {}, {}
            layer = whole
        layers.append((name, layer))
    whole_model = Sequential(layers, model.dtype, model.backend)
    whole_model.class_names, whole_model.in_shape = model.class_names, model.in_shape
    return whole_model


def header(shapes: Any, texts: Any, dtype: np.dtype) -> bytes:
    """Length and JSON of the header, as storage.safetensors_file.encode writes them."""
    entries, position = {"__metadata__": dict(sorted(texts.items()))}, 0
    for name, (shape, _, _) in sorted(shapes.items()):
        end = position + int(np.prod(shape, dtype=object)) * dtype.itemsize
        entries[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
