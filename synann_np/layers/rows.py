"""From images to sequences."""

from typing import Any

from ..backend import Array
from .base import Layer


class Rows(Layer):
    """y_ntj = x_n0tj: an image of one channel is a sequence of its rows, read from the top.

    x (N, 1, H, W), y (N, H, W): H steps of W numbers. Backward: the same elements in the shape of x.

    Raises: ValueError (forward) if x is not (N, 1, H, W).
    """

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", 1, "H", "W")
        return x[:, 0], x.shape

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        N, _, H, W = cache
        self.check_gradient(dy, (N, H, W))
        return dy[:, None], {}
