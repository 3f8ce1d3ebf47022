"""A model as a list of named layers: forward keeps each layer's cache, backward walks them in reverse."""

from typing import Any

import numpy as np

from . import arguments
from .backend import Array, BackendLike, DTypeLike, get_backend
from .summary import Summary, summarize


class Sequential:
    """Layers applied one after the other.

    Arguments:
        layers: list of layers, or of pairs (name, layer); a name has no dot and occurs once. A layer without one is
            named by its position, "0", "1", ..., as in PyTorch.
        dtype: of all weights, "float32" or "float64"; None: that of the layers, float32 if none has weights.
        backend: where the weights live.

    Raises: ValueError for a name with a dot or that occurs twice, or weights of different dtypes.

    It is itself a layer: it has params, buffers, forward and backward, and may stand in another Sequential.

    Attributes, saved with the model, None unless set:
        class_names: names of the classes, in the order of the outputs.
        in_shape: shape of one example, without the batch axis.
    """

    draws_masks = True  # it hands `step` on
    _class_names: tuple[str, ...] | None = None
    _in_shape: tuple[int, ...] | None = None

    def __init__(self, layers: Any, dtype: DTypeLike | None = None, backend: BackendLike = "numpy") -> None:
        named = [item if isinstance(item, tuple) else (str(i), item) for i, item in enumerate(layers)]
        self.layers: dict[str, Any] = dict(named)
        self.backend = get_backend(backend)
        names = [name for name, _ in named]
        if len(self.layers) < len(names):
            raise ValueError(f"Sequential: a name occurs twice in {names}")
        if any("." in name for name in names):
            raise ValueError(f"Sequential: expected names without a dot, got {names}")
        found = {name: p.dtype.name for name, p in self.params.items()}
        self.dtype = dtype or next(iter(found.values()), "float32")
        if other := [f"{name} is {kind}" for name, kind in found.items() if kind != self.dtype]:
            raise ValueError(f"Sequential: expected weights of one dtype, {self.dtype}, but {other[0]}")

    def __repr__(self):
        return "\n".join(
            ["Sequential(", *(f"  {name}: {_indented(layer)}" for name, layer in self.layers.items()), ")"]
        )

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, in the order of the outputs.

        Setting it raises: TypeError for anything but a list or tuple of strings or None, ValueError for a name that
        occurs twice or cannot be printed.
        """
        return self._class_names

    @class_names.setter
    def class_names(self, names: Any) -> None:
        self._class_names = None if names is None else arguments.names("Sequential", "class_names", names)

    @property
    def in_shape(self) -> tuple[int, ...] | None:
        """Shape of one example, without the batch axis. Setting it raises: TypeError, ValueError for another value."""
        return self._in_shape

    @in_shape.setter
    def in_shape(self, shape: Any) -> None:
        self._in_shape = None if shape is None else arguments.shape("Sequential", "in_shape", shape)

    @property
    def mixes_rows(self) -> bool:
        """Whether one of its layers mixes the rows of a batch."""
        return any(getattr(layer, "mixes_rows", False) for layer in self.layers.values())

    @property
    def params(self) -> dict[str, Array]:
        """dict "layer.param" -> array: the weights themselves, not copies."""
        return {f"{name}.{key}": p for name, layer in self.layers.items() for key, p in layer.params.items()}

    @property
    def buffers(self) -> dict[str, Array]:
        """dict "layer.buffer" -> array: state that is not trained (batch-norm's running statistics)."""
        return {f"{name}.{key}": b for name, layer in self.layers.items() for key, b in layer.buffers.items()}

    @property
    def input_dtype(self) -> Any:
        """What a training loop feeds it: numbers of its dtype, or "uint8": images, which it normalises itself."""
        return self.dtype

    @property
    def normalizes(self) -> bool:
        """Whether its first layer is Normalize, which has mean and scale of the data: bytes then come as x / 255."""
        return any(getattr(layer, "normalizes", False) for layer in list(self.layers.values())[:1])

    def forward(self, x: Array, train: bool = False, step: int = 0) -> tuple[Array, Any]:
        """All layers in order.

        Arguments:
            x: input of the first layer.
            train: batch statistics and dropout on.
            step: number of the training step; it selects the dropout masks, so a training loop counts it up.

        Returns: y (output of the last layer), caches (what backward needs).
        """
        caches = []
        for layer in self.layers.values():
            x, cache = layer.forward(x, train, step) if layer.draws_masks else layer.forward(x, train)
            caches.append(cache)
        return x, caches

    def backward(self, dy: Array, caches: Any) -> tuple[Any, dict[str, Array]]:
        """All layers in reverse.

        Arguments:
            dy: gradient of the loss with respect to y.
            caches: as returned by the forward call that made y.

        Returns: dx, grads (dict with the names of params).
        """
        grads: dict[str, Array] = {}
        for (name, layer), cache in zip(reversed(self.layers.items()), reversed(caches), strict=True):
            dy, layer_grads = layer.backward(dy, cache)
            grads |= {f"{name}.{key}": g for key, g in layer_grads.items()}
            if dy is None:  # nobody asked for the gradient of the input, and no layer before this one has parameters
                break
        return dy, grads

    def summary(self, in_shape: tuple[int, ...]) -> Summary:
        """What the model is made of: layers, nested ones too, output shapes, parameters, multiplications, memory.

        One example of zeros is computed, in evaluation mode.

        Arguments: in_shape: of one example, without the batch axis, such as (1, 28, 28).

        Returns: Summary; print it, or leave it at the end of a notebook's cell.

        Raises: TypeError if in_shape is not a tuple of integers, ValueError naming the layer that does not take its
        input.
        """
        return summarize(self, in_shape)

    def state_dict(self) -> dict[str, np.ndarray]:
        """dict name -> copy on the host of every parameter and buffer."""
        return {name: self.backend.to_host(a).copy() for name, a in (self.params | self.buffers).items()}

    def load_state_dict(self, state: Any) -> None:
        """Copy arrays into the parameters and buffers, cast to the model's dtype. All or nothing.

        Raises: ValueError naming what is missing, unknown or of another shape; the model is then unchanged.
        """
        arrays = self.params | self.buffers
        missing, unknown = sorted(arrays.keys() - state.keys()), sorted(map(str, state.keys() - arrays.keys()))
        if missing or unknown:
            told = [f"missing {missing!r:.300}"] * bool(missing) + [f"the model has no {unknown!r:.300}"] * bool(
                unknown
            )
            raise ValueError(
                f"load_state_dict: {'; '.join(told)}" + "; see synann_np.storage.torch_names.from_torch" * bool(unknown)
            )
        for name, a in arrays.items():
            if tuple(state[name].shape) != tuple(a.shape):
                raise ValueError(f"load_state_dict: {name} is {tuple(a.shape)}, got {tuple(state[name].shape)}")
        for name, a in arrays.items():
            a[...] = self.backend.asarray(state[name], dtype=a.dtype)


def _indented(layer):
    return repr(layer).replace("\n", "\n  ")
