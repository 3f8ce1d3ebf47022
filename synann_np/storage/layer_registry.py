"""Which classes a file may name: the layers of the package, and those that a user has registered."""

from typing import Any

from .. import layers
from ..sequential import Sequential

OWN = "own."  # begins the kind of a user's layer in a file; the package's layers have no dot, now and in future
OF_TWO_INPUTS = {"SynapseGraph"}  # cannot stand in a Sequential
_registered: dict[str, type] = {}


def register_layer(cls=None, *, name: Any = None) -> Any:
    """Let models with layers of a class of yours be saved and loaded.

        @register_layer
        class Scale(Layer): ...

    A file holds the name of the class, its arguments and its arrays, but no code: whoever loads the file imports the
    module that defines and registers the class first. Registering a class again under its name replaces it, so that a
    notebook's cell may be run twice.

    Arguments:
        cls: a subclass of `synann_np.layers.Layer`, whose constructor hands all its own arguments on to
            `super().__init__`, so that `config` holds them.
        name: in files; the name of the class unless given.

    Returns: cls; or a decorator, if cls is left out.

    Raises: TypeError if cls is not a class of layers; ValueError if a class of another module has that name already.
    """
    if cls is None:
        return lambda cls: register_layer(cls, name=name)
    if not (isinstance(cls, type) and callable(getattr(cls, "forward", None)) and hasattr(cls, "backward")):
        raise TypeError(f"register_layer: expected a subclass of synann_np.layers.Layer, got {cls!r:.80}")
    if cls is Sequential or _is_of_package(cls):
        raise ValueError(f"register_layer: {cls.__name__} is a layer of synann_np, which needs no registration")
    name = cls.__name__ if name is None else name
    if not isinstance(name, str) or not name:
        raise TypeError(f"register_layer: expected a name, got {name!r:.80}")
    other = _registered.get(name)
    if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"register_layer: {name!r:.80} is {other.__module__}.{other.__qualname__} already; "
            "use register_layer(name=...) for one of them"
        )
    _registered[name] = cls
    return cls


def class_of(kind: Any) -> type | None:
    """The class that a file calls so, None if there is none."""
    if not isinstance(kind, str):
        return None
    if kind.startswith(OWN):
        return _registered.get(kind.removeprefix(OWN))
    usable = kind in layers.__all__ and kind not in {"Layer", *OF_TWO_INPUTS}
    return getattr(layers, kind) if usable else None


def kind_of(layer: Any) -> str:
    """What a file calls the class of a layer. Raises: TypeError if it could not be found again."""
    cls = type(layer)
    if cls is Sequential:
        return "Sequential"
    if _is_of_package(cls):
        return cls.__name__
    for name, registered in _registered.items():
        if registered is cls:
            return OWN + name
    if cls.__name__ in OF_TWO_INPUTS:
        raise TypeError(f"cannot save {cls.__name__}: a layer of two inputs cannot stand in a Sequential")
    raise TypeError(
        f"cannot save {cls.__name__}: register it with register_layer"
        + (", again after its class was defined again" if _registered.get(cls.__name__) else "")
    )


def _is_of_package(cls):
    return class_of(cls.__name__) is cls
