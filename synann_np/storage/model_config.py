"""A model as plain data: which layers, with which arguments. Weights are not part of it."""

import inspect
from typing import Any

import numpy as np

from .layer_registry import kind_of

HERE = ("dtype", "backend", "rng")  # arguments that are not saved: they belong to the place where a model is built

ABOUT = ("class_names", "in_shape")  # attributes of a model that say what it was trained on


def describe(model: Any) -> dict[str, Any]:
    """A Sequential as a dict of JSON values: {"dtype", "layers": [{"name", "layer": kind, "arguments"}, ...]}, and
    "class_names" and "in_shape" if it has them.

    A compiled model is described as the plain one.

    Raises: TypeError, ValueError naming the layer that `build` could not make again.
    """
    model = getattr(model, "plain", model)
    about = {key: list(value) for key in ABOUT if (value := getattr(model, key, None)) is not None}
    return {"dtype": np.dtype(model.dtype).name, "layers": _describe_layers(model), **about}


def _describe_layers(model):
    described = []
    for name, layer in model.layers.items():
        try:
            described.append({"name": name, **_describe_layer(layer)})
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from error
    return described


def _describe_layer(layer):
    kind = kind_of(layer)
    if kind == "Sequential":
        return {"layer": kind, "arguments": {"layers": _describe_layers(layer)}}
    config = getattr(layer, "config", None)
    if not isinstance(config, dict):
        raise TypeError(
            f"cannot save {type(layer).__name__}: it has no config; derive it from synann_np.layers.Layer and hand the "
            "constructor's arguments to super().__init__"
        )
    accepted = inspect.signature(type(layer)).parameters
    named = {name for name, p in accepted.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    if absent := sorted(named - config.keys() - {*HERE}):
        raise ValueError(
            f"cannot save {type(layer).__name__}: its config lacks {', '.join(absent)}; hand it to super().__init__"
        )
    return {"layer": kind, "arguments": {key: _to_json(key, value) for key, value in config.items() if key not in HERE}}


def _to_json(key, value):
    """A value of config as JSON has it. A layer becomes {"layer": kind, "arguments"}."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_to_json(key, v) for v in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _to_json(key, v) for name, v in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "forward"):
        return _describe_layer(value)
    raise TypeError(
        f"cannot save its argument {key} = {value!r:.80}: expected numbers, words, None, layers, and tuples or dicts "
        "of them; arrays belong into params or buffers"
    )
