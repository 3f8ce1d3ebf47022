"""From images to vectors."""

import math
from typing import Any

from ..backend import Array
from .base import Layer


class Flatten(Layer):
    """y_n,(c,h,w) = x_nchw: all axes but the first become one, in row-major order.

    x (N, ...), y (N, D) with D the product of the other sizes. Backward: the same elements in the shape of x.

    Raises: ValueError (forward) if x has fewer than two axes.
    """

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", "C", ...)
        return x.reshape(x.shape[0], math.prod(x.shape[1:])), x.shape

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x_shape = cache
        self.check_gradient(dy, (x_shape[0], math.prod(x_shape[1:])))
        return dy.reshape(x_shape), {}
