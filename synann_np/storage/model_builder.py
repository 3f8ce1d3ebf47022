"""From plain data back to a model: nothing but layers is made, and no more of them than a file is good for."""

import inspect
from functools import lru_cache
from typing import Any

import numpy as np

from ..backend import BackendLike
from ..layers import Layer
from ..sequential import Sequential
from .layer_registry import OWN, class_of
from .model_config import ABOUT, HERE
from .safetensors_file import CheckpointError, in_one_line
from .shapes_only import NoRandom, ShapesOnly

DEEPEST = 32  # layers within one another


def build(config: dict[str, Any], backend: BackendLike = "numpy", most: int | None = None) -> Sequential:
    """A Sequential with fresh weights from what `model_config.describe` returned.

    Only classes of `synann_np.layers` and registered ones are ever constructed, from numbers, words and other layers.

    Arguments: most: layers and elements of lists, all counted together, that the file is good for; None: any.

    Raises: CheckpointError naming the layer: unknown class, unknown or impossible arguments.
    """
    return _Builder(backend, None, most).model(config)


def build_without_memory(
    config: dict[str, Any], most: int | None = None, own_layers_in_full: bool = False
) -> Sequential:
    """The same with arrays that have shape and dtype, but one element in memory: a configuration may promise anything.

    A registered layer whose constructor needs real arrays gets them; own_layers_in_full: all registered layers do.

    Raises: CheckpointError as build.
    """
    return _Builder(ShapesOnly(), NoRandom(), most, own_layers_in_full).model(config)


def most_parts(arrays: int) -> int:
    """The `most` of build for a file of so many arrays: a layer without weights takes memory too, a little."""
    return 1000 + 10 * arrays


@lru_cache
def _taken_here(cls):
    """Which of HERE the constructor takes."""
    if cls.__init__ is Layer.__init__:  # a layer without weights
        return ()
    accepted = inspect.signature(cls).parameters
    passes_on = any(p.kind == p.VAR_KEYWORD for p in accepted.values())
    return tuple(key for key in HERE if key in accepted or passes_on)


class _Builder:
    """Makes layers out of a configuration that may be damaged or forged."""

    def __init__(self, backend, rng, most, own_layers_in_full=False):
        self.backend, self.rng, self.left = backend, rng, most
        self.own_layers_in_full = own_layers_in_full

    def model(self, config):
        try:
            self.dtype = config["dtype"]
            if self.dtype not in ("float32", "float64"):
                raise CheckpointError(f"dtype {self.dtype!r:.40} is neither float32 nor float64")
            model = self.sequential(config["layers"], DEEPEST)
            for key in ABOUT:
                setattr(model, key, config.get(key))
            return model
        except CheckpointError:
            raise
        except Exception as error:  # a forged configuration may break anywhere
            raise CheckpointError(f"the configuration of the model is damaged ({error!r:.80})") from error

    def sequential(self, entries, depth):
        built = []
        for entry in entries:
            name = entry["name"]
            if not isinstance(name, str) or not name or "." in name:
                raise CheckpointError(f"{name!r:.40} is not a layer name")
            built.append((name, self.layer(entry["layer"], entry["arguments"], depth - 1, name)))
        try:
            return Sequential(built, self.dtype, self.backend)
        except ValueError as error:
            raise CheckpointError(in_one_line(error)) from error

    def layer(self, kind, arguments, depth, name):
        self.count()
        if depth == 0:
            raise CheckpointError(f"more than {DEEPEST} layers within one another")
        cls = class_of(kind)
        if cls is None and isinstance(kind, str) and kind.startswith(OWN):
            raise CheckpointError(
                f"layer {name!r:.40}: {kind.removeprefix(OWN)!r:.40} is not registered; import the module that defines "
                "it and registers it with register_layer"
            )
        if cls is None and kind != "Sequential":
            raise CheckpointError(f"layer {kind!r:.40} is unknown: written by a newer version of synann_np?")
        try:
            if kind == "Sequential":
                return self.sequential(arguments["layers"], depth)
            if outside := sorted({*HERE} & arguments.keys()):
                raise ValueError(f"argument {outside[0]!r:.40} is not saved")
            arguments = {key: self.value(value, depth, name) for key, value in arguments.items()}
            return self.construct(cls, arguments, kind.startswith(OWN))
        except CheckpointError:
            raise
        except Exception as error:  # whatever a constructor raises
            reason = in_one_line(error, 160)
            raise CheckpointError(f"layer {name!r:.40}: {kind!s:.40} cannot be built ({reason})") from error

    def construct(self, cls, arguments, is_own):
        real = {"dtype": self.dtype, "backend": "numpy", "rng": np.random.default_rng(0)}
        here = {"dtype": self.dtype, "backend": self.backend, "rng": self.rng}
        taken = _taken_here(cls)

        def made(here):
            return cls(**arguments, **{key: here[key] for key in taken})

        if is_own and self.own_layers_in_full:
            return made(real)
        try:
            return made(here)
        except Exception:
            if is_own and isinstance(self.backend, ShapesOnly):
                return made(real)
            raise

    def value(self, value, depth, name):
        if isinstance(value, list):
            self.count(len(value))
            return tuple(self.value(v, depth, name) for v in value)
        if isinstance(value, dict) and value.keys() == {"layer", "arguments"}:
            return self.layer(value["layer"], value["arguments"], depth - 1, name)
        if isinstance(value, dict):
            self.count(len(value))
            return {key: self.value(v, depth, name) for key, v in value.items()}
        return value

    def count(self, parts=1):
        if self.left is not None:
            self.left -= parts
            if self.left < 0:
                raise CheckpointError("more layers than so few arrays can belong to")
