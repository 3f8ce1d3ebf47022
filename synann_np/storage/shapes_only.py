"""Stand-ins for a backend and a generator with which a layer is constructed without memory for its arrays."""

from typing import Any

import numpy as np

from ..backend import Array, Backend, DTypeLike


class ShapesOnly(Backend):
    """Arrays that have a shape and a dtype, but one element in memory. They cannot be written to."""

    def __init__(self) -> None:
        super().__init__("shapes only", _Namespace())

    def asarray(self, x: Array, dtype: DTypeLike | None = None) -> Array:
        return self.xp.empty(np.shape(x), dtype)


class _Namespace:
    """NumPy, but for the functions that fill an array of any size."""

    def empty(self, shape, dtype=None, **options):
        return np.broadcast_to(np.zeros((), dtype), shape)

    ones = zeros = empty

    def full(self, shape, fill_value, dtype=None, **options):
        return self.empty(shape, dtype)

    def __getattr__(self, name):
        return getattr(np, name)


class NoRandom:
    """In the place of a Generator where only the shape of what it draws is wanted."""

    def _array(self, shape):
        return np.broadcast_to(0.0, () if shape is None else shape)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Array:
        return self._array(size)

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Any = None) -> Array:
        return self._array(size)

    def standard_normal(self, size: Any = None, dtype: DTypeLike | None = None) -> Array:
        return self._array(size)

    def random(self, size: Any = None, dtype: DTypeLike | None = None) -> Array:
        return self._array(size)

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Array:
        return 0 if size is None else self._array(size)
