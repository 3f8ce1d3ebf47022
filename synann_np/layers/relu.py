"""Rectified linear unit."""

from typing import Any

from ..backend import Array, array_module
from .base import Layer


class ReLU(Layer):
    """y = max(x, 0), element by element, any shape.

    Backward: dx = dy where x > 0, else 0 (at x = 0 too, as in PyTorch). y > 0 exactly where x > 0, so y is the cache.

    Raises: ValueError, TypeError if x is not float32 or float64, or dy is not shaped like y.
    """

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, ...)
        y = array_module(x).maximum(x, 0)
        return y, y

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        y = cache
        self.check_gradient(dy, y.shape, y.dtype)
        return dy * (y > 0), {}
