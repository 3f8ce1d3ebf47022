"""A model as plain data and back: which layers, with which arguments. Weights are not part of it."""

import inspect
from types import SimpleNamespace

import numpy as np

from .. import layers
from ..backend import Backend
from ..sequential import Sequential
from .safetensors_file import CheckpointError

DEEPEST = 8  # Sequentials within one another


def describe(model):
    """A Sequential as a dict of JSON values: {"dtype", "layers": [{"name", "layer": class, "arguments"}, ...]}.

    Raises: TypeError for a layer that `build` could not make again.
    """
    return {"dtype": np.dtype(model.dtype).name, "layers": _describe_layers(model)}


def build(config, backend="numpy"):
    """A Sequential with fresh weights from what `describe` returned.

    Only classes of `synann_np.layers` are ever constructed, with numbers as arguments, or words where the class has a
    word for its default.

    Raises: CheckpointError naming the layer: unknown class, unknown or impossible arguments.
    """
    return _build_all(config, backend, None)


def shapes(config):
    """dict name -> shape of every parameter and buffer, without allocating any: a configuration may promise anything.

    Raises: CheckpointError as build.
    """
    weightless = _build_all(config, _WithoutMemory(), _ConstantRandom())
    return {name: a.shape for name, a in (weightless.params | weightless.buffers).items()}


def _build_all(config, backend, rng):
    try:
        return _build(config["layers"], config["dtype"], backend, rng, DEEPEST)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"the configuration of the model is damaged ({error!r:.80})") from error


def _describe_layers(model):
    described = []
    for name, layer in model.layers.items():
        entry = {"name": name, "layer": type(layer).__name__}
        if isinstance(layer, Sequential):
            entry["arguments"] = {"layers": _describe_layers(layer)}
        elif type(layer) is _allowed(type(layer).__name__):
            entry["arguments"] = {k: list(v) if isinstance(v, tuple) else v for k, v in layer.config.items()}
        else:
            raise TypeError(f"{name}: {layer!r} is no layer of synann_np.layers and cannot be described")
        described.append(entry)
    return described


def _build(entries, dtype, backend, rng, depth):
    if depth == 0:
        raise CheckpointError(f"more than {DEEPEST} Sequentials within one another")
    if dtype not in ("float32", "float64"):
        raise CheckpointError(f"dtype {dtype!r:.40} is neither float32 nor float64")
    built = []
    for entry in entries:
        name, kind, arguments = entry["name"], entry["layer"], dict(entry["arguments"])
        if not isinstance(name, str) or not name or "." in name:
            raise CheckpointError(f"{name!r:.40} is no name of a layer")
        try:
            if kind == "Sequential":
                built.append((name, _build(arguments["layers"], dtype, backend, rng, depth - 1)))
            else:
                built.append((name, _build_layer(kind, arguments, dtype, backend, rng)))
        except CheckpointError:
            raise
        except (ArithmeticError, KeyError, MemoryError, TypeError, ValueError) as error:
            raise CheckpointError(f"layer {name!r:.40}: {kind!s:.40} cannot be made ({error!s:.120})") from error
    try:
        return Sequential(built, dtype, backend)
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _build_layer(kind, arguments, dtype, backend, rng):
    cls = _allowed(kind)
    if cls is None:
        raise CheckpointError(f"layer {kind!r:.40} is unknown: written by a newer version of synann_np?")
    accepted = inspect.signature(cls).parameters
    here = {"dtype": dtype, "backend": backend, "rng": rng}
    for key, value in arguments.items():
        values = value if isinstance(value, list) else [value]
        default = getattr(accepted.get(key), "default", None)
        kinds = str if isinstance(default, str) else int | float
        if key in here or not all(v is None or isinstance(v, kinds) for v in values):
            raise ValueError(f"argument {key!r:.40} is {value!r:.40}")
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    return cls(**arguments, **{key: value for key, value in here.items() if key in accepted})


def _allowed(kind):
    """The class of that name in synann_np.layers, None if there is none that may stand in a Sequential."""
    usable = kind in layers.__all__ and kind not in ("Layer", "SynapseGraph")  # of two inputs
    return getattr(layers, kind) if usable else None


class _WithoutMemory(Backend):
    """Arrays that have a shape and a dtype, but one element in memory."""

    def __init__(self):
        super().__init__("shapes only", SimpleNamespace(ones=self.empty, zeros=self.empty, empty=self.empty))

    def empty(self, shape, dtype=None):
        return np.broadcast_to(np.zeros((), dtype), shape)

    def asarray(self, x, dtype=None):
        return self.empty(x.shape, dtype)


class _ConstantRandom:
    """Stands in for a Generator where only the shape of what it draws is wanted."""

    def uniform(self, low, high, shape):
        return np.broadcast_to(0.0, shape)

    def integers(self, high):
        return 0
