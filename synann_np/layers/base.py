"""What all layers share: the dicts of arrays, and checks of arguments, inputs and gradients."""

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from .. import arguments
from ..backend import Array, BackendLike, DTypeLike, array_module, get_backend

IntPair: TypeAlias = int | tuple[int, int]  # along height and width


class Layer:
    """Base class. A layer keeps no state between calls: forward returns what backward needs, the cache.

    Attributes:
        params: dict name -> array that training changes. buffers: dict name -> array that training does not.
        config: dict of the constructor's own arguments, as plain Python values: for repr, and to make the layer again.
        draws_masks: True if forward also takes `step`, which selects a random mask.
        mixes_rows: True if a row of y depends on the other rows of the batch, at least in training.
        input_gradient: False if nobody needs dx, which backward may then return as None (fast.compile).

    Methods of every layer:
        y, cache = forward(x, train=False)      x is never modified
        dx, grads = backward(dy, cache)         dy is ∂L/∂y and has the shape of y, dx is ∂L/∂x; grads: dict with the
                                                keys of params, the gradient of each, in its shape
    """

    draws_masks = False
    mixes_rows = False
    input_gradient = True

    def __init__(self, dtype: DTypeLike | None = None, backend: BackendLike = "numpy", **config: Any) -> None:
        """config: the constructor's own arguments. dtype: of the weights, None for a layer without any."""
        self.params: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.config = config
        self.backend = get_backend(backend)
        self.dtype = None if dtype is None else np.dtype(dtype)
        if dtype is not None and self.dtype not in (np.float32, np.float64):
            raise ValueError(f"{self}: expected dtype float32 or float64, got {self.dtype}")

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config.items())})"

    def multiplications(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Products of a weight and an input that one example takes, for Sequential.summary.

        Every matrix (or kernel) of the layer is used once at each position of y; elementwise work is not counted.
        """
        places = math.prod(y_shape[1:])
        return sum(p.size * places // p.shape[0] for p in self.params.values() if p.ndim > 1)

    def integer(self, name: str, least: int = 1) -> int:
        """The constructor's argument of that name, checked: an integer of `least` or more.

        config then holds it as a Python int. The methods below do the same.

        Raises: TypeError, ValueError naming the layer and the argument.
        """
        self.config[name] = value = arguments.integer(self, name, self.config[name], least)
        return value

    def number(self, name: str, low: float = 0.0, high: float = float("inf")) -> float:
        """A finite number in low..high."""
        self.config[name] = value = arguments.number(self, name, self.config[name], low, high)
        return value

    def flag(self, name: str) -> bool:
        """True or False."""
        self.config[name] = value = arguments.flag(self, name, self.config[name])
        return value

    def word(self, name: str, words: Iterable[str]) -> str:
        """One of the words."""
        return arguments.word(self, name, self.config[name], words)

    def pair(self, name: str, least: int = 1) -> tuple[int, int]:
        """An integer or two of them, along height and width, of `least` or more; returned as a pair."""
        value = self.config[name]
        if not isinstance(value, list | tuple):
            return pair(self.integer(name, least))
        if len(value) != 2:
            raise ValueError(f"{self}: expected {name} to be an integer or a pair of them, got {value!r:.80}")
        self.config[name] = tuple(arguments.integer(self, name, v, least) for v in value)
        return self.config[name]

    def check_input(self, x: Array, *shape: Any) -> None:
        """Refuse x unless it has this shape (a letter stands for any size, ... for any axes) and the dtype of the
        weights; a layer without weights takes float32 and float64.

        Raises: ValueError (shape), TypeError (dtype, no array).
        """
        self._check_array("input", x, shape, self.dtype, "like the weights")

    def check_gradient(self, dy: Array, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> None:
        """Refuse dy, the gradient of y, unless it has the shape of y: another shape might broadcast silently.

        Arguments: dtype: of y; None: that of the weights.

        Raises: ValueError (shape), TypeError (dtype, no array).
        """
        self._check_array("dy", dy, shape, dtype or self.dtype, "like y")

    def _check_array(self, what, a, shape, dtype, like):
        try:
            array_module(a)
        except TypeError as error:
            raise TypeError(f"{self}: {what}: {error}") from None
        if not _fits(a.shape, shape):
            expected = ", ".join("..." if s is ... else str(s) for s in shape)
            raise ValueError(f"{self}: expected {what} ({expected}), got {tuple(a.shape)}")
        if a.dtype not in (np.float32, np.float64):
            dtype, like = dtype or "float32", like if dtype else "or float64"
        if dtype and a.dtype != dtype:
            raise TypeError(f"{self}: expected {dtype} {what}, {like}, got {a.dtype}; use astype('{dtype}')")


def pair(value: IntPair) -> tuple[int, int]:
    """3 -> (3, 3); (3, 5) -> (3, 5): sizes along height and width."""
    if isinstance(value, list | tuple):
        height, width = value
        return height, width
    return value, value


def _fits(sizes, shape):
    """Whether sizes match shape, in the notation of check_input."""
    if ... in shape:
        before, after = shape[: shape.index(...)], shape[shape.index(...) + 1 :]
        if len(sizes) < len(before) + len(after):
            return False
        sizes, shape = (*sizes[: len(before)], *sizes[len(sizes) - len(after) :]), before + after
    return len(sizes) == len(shape) and all(isinstance(s, str) or s == d for s, d in zip(shape, sizes, strict=True))
