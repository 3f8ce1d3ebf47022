"""Before a model is saved: proof that it can be built again from its description as the same function."""

import json
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ..sequential import Sequential
from .model_builder import build_without_memory, most_parts
from .model_config import HERE, describe
from .safetensors_file import CODES, CheckpointError

RESERVED = ("optimizer", "weights")  # what the names of other arrays in the file begin with
COMPARED_ELSEWHERE = {"params", "buffers", "config", "backend", "layers"}


def proved_description(model: Any) -> dict[str, Any]:
    """describe(model), after it has been turned into text and back, built, and compared with the model.

    Compared are classes, names, arguments, shapes and dtypes of all arrays, and the attributes: one that was changed
    after construction, such as `eps`, would be lost, and so would weights that two layers share.

    Raises: TypeError, ValueError: "cannot save …", naming the layer, what would be lost and what to do.
    """
    if type(model) is not Sequential:
        raise TypeError(f"cannot save {type(model).__name__}: expected a Sequential, which may hold such a layer")
    if any(name in model.layers for name in RESERVED):
        raise ValueError(f"cannot save a layer called {' or '.join(RESERVED)}: files use these names; rename the layer")
    config = describe(model)
    most = most_parts(len(model.params | model.buffers))
    try:
        again = build_without_memory(json.loads(json.dumps(config)), most, own_layers_in_full=True)
    except CheckpointError as error:
        raise ValueError(f"cannot save: what would be loaded again is refused: {error}") from error
    _compare_sequentials(model, again, "")
    _refuse_shared_memory(model.params | model.buffers)
    return config


def _compare_sequentials(model, again, above):
    if np.dtype(model.dtype) != np.dtype(again.dtype):
        _refuse(above, f"its dtype is {np.dtype(model.dtype)}, that of the model {again.dtype}")
    for name, layer in model.layers.items():
        _compare(layer, again.layers[name], f"{above}{name}")


def _compare(layer, again, name):
    if isinstance(layer, Sequential):
        _compare_sequentials(layer, again, f"{name}.")
    if hasattr(layer, "config") and _readable(layer.config) != _readable(again.config):
        _refuse(name, f"its config is {layer.config!r:.80}, that of one built from it {again.config!r:.80}")
    if twice := sorted(layer.params.keys() & layer.buffers.keys()):
        _refuse(name, f"{twice[0]!r:.80} is in params and in buffers")
    for kind in ("params", "buffers"):
        _compare_arrays(getattr(layer, kind), getattr(again, kind), name, kind)
    mine, its = ({k: v for k, v in vars(x).items() if k not in COMPARED_ELSEWHERE} for x in (layer, again))
    for key in sorted(mine.keys() | its.keys()):
        if key.startswith("_"):
            continue
        if key not in mine or key not in its or not _same(mine[key], its[key], f"{name}.{key}"):
            was = f"{mine[key]!r:.40}" if key in mine else "missing"
            new = f"{its[key]!r:.40}" if key in its else "missing"
            _refuse(
                name,
                f"its attribute {key} is {was}, but {new} when built from config; let the constructor set it from its "
                "arguments, or keep arrays in params or buffers",
            )


def _refuse_shared_memory(arrays):
    """Tied weights would be loaded as two arrays, which the next step of training changes apart."""
    spans = [(*byte_bounds(a), name) for name, a in arrays.items() if isinstance(a, np.ndarray) and a.size]
    spans += [(id(a), id(a) + 1, name) for name, a in arrays.items() if not isinstance(a, np.ndarray)]
    reached, first = 0, ""
    for start, end, name in sorted(spans):
        if start < reached and (arrays[name] is arrays[first] or np.shares_memory(arrays[name], arrays[first])):
            _refuse(
                name,
                f"it shares its memory with {first}; a file would give back two arrays, which training on changes "
                "apart. To save them as two, give the layer a copy of the array",
            )
        if end > reached:
            reached, first = end, name


def _compare_arrays(mine, its, name, kind):
    for key in sorted(mine.keys() | its.keys()):
        if key not in mine or key not in its:
            _refuse(
                name, f"{key!r:.80} is {'missing in' if key in its else 'an array more than config makes in'} {kind}"
            )
        was, new = ((tuple(a.shape), np.dtype(a.dtype)) for a in (mine[key], its[key]))
        if was != new:
            _refuse(name, f"{key!r:.80} is {was[1]} {was[0]}, but {new[1]} {new[0]} when built from config")
        if was[1].newbyteorder("<") not in CODES:
            _refuse(name, f"{key!r:.80} is {was[1]}, which safetensors files do not hold")


def _same(a, b, name):
    """Whether two attributes are as good as equal. What is not plain data, such as a function, is not looked into."""
    if hasattr(a, "forward") and hasattr(b, "forward"):
        _compare(a, b, name)
        return type(a) is type(b)
    if _is_array(a) or _is_array(b):
        return _same_array(a, b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y, name) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key], name) for key in a)
    if isinstance(a, str | int | float | complex | bool | None | np.dtype):
        return a == b or (a != a and b != b)  # NaN
    return type(a) is type(b)


def _is_array(a):
    return hasattr(a, "shape") and hasattr(a, "dtype")


def _same_array(a, b):
    if not (_is_array(a) and _is_array(b)):
        return np.ndim(a) == np.ndim(b) == 0 and bool(a == b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if b.size > 1 and not any(b.strides):  # made without memory: its elements mean nothing
        return True
    a = a.get() if hasattr(a, "get") else np.asarray(a)
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))


def _readable(config):
    """The arguments as text: 3, np.int64(3), (3,) and [3] are the same argument in both."""
    return {key: _plain(value) for key, value in config.items() if key not in HERE}


def _plain(value):
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return repr(value.item() if isinstance(value, np.generic) else value)


def _refuse(name, reason):
    raise ValueError(f"cannot save {name.rstrip('.') or 'the model'}: {reason}")
