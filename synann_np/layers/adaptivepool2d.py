"""Pooling to an output of a given size, whatever the size of the image: windows adapt to it."""

from typing import Any

import numpy as np

from ..backend import Array, array_module
from .base import IntPair, Layer
from .windows import adaptive_windows


class AdaptivePool2d(Layer):
    """x (N, C, H, W) -> y (N, C, H', W') with (H', W') = output_size, an integer or a pair; 1 pools the whole image.

    Window (h, w) sees the rows ⌊h H / H'⌋ .. ⌈(h + 1) H / H'⌉ − 1 and the columns alike, so windows of neighbours may
    overlap by a pixel, and every pixel is seen. A subclass says what a window becomes.

    Raises: ValueError, TypeError if output_size is not an integer >= 1 or a pair of them, x is not (N, C, H, W) with at
    least one pixel, or dy is not shaped like y.
    """

    def __init__(self, output_size: IntPair) -> None:
        super().__init__(output_size=output_size)
        self.output_size = self.pair("output_size")

    def windows(self, x: Array) -> Any:
        """[((h, w), slices of the window), ...] after checking x."""
        self.check_input(x, "N", "C", "H", "W")
        if min(x.shape[2:]) < 1:
            raise ValueError(f"{self}: expected at least one pixel, got {tuple(x.shape)}")
        rows, columns = (adaptive_windows(*sizes) for sizes in zip(x.shape[2:], self.output_size, strict=True))
        return [((h, w), (..., rows[h], columns[w])) for h, w in np.ndindex(*self.output_size)]


class AdaptiveAvgPool2d(AdaptivePool2d):
    """y_nchw = the mean over window (h, w) of x_nc, of M_hw pixels

    Backward: dx_ncrs += dy_nchw / M_hw for every pixel (r, s) of the window.
    """

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        windows = self.windows(x)
        y = array_module(x).empty((*x.shape[:2], *self.output_size), x.dtype)
        for hw, window in windows:
            y[..., *hw] = x[window].mean(axis=(2, 3))
        return y, (x.shape, x.dtype, windows)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x_shape, dtype, windows = cache
        self.check_gradient(dy, (*x_shape[:2], *self.output_size), dtype)
        dx = array_module(dy).zeros(x_shape, dtype)
        for hw, window in windows:
            share = dx[window]
            share += dy[..., *hw][..., None, None] / (share.shape[2] * share.shape[3])
        return dx, {}


class AdaptiveMaxPool2d(AdaptivePool2d):
    """y_nchw = the largest of x_nc in window (h, w)

    Backward: dy_nchw goes to the pixel that won, of equal ones to the first in row-major order.
    """

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        windows = self.windows(x)
        y = array_module(x).empty((*x.shape[:2], *self.output_size), x.dtype)
        winners = []
        for hw, window in windows:
            pixels = x[window].reshape(*x.shape[:2], -1) if x.size else x[window].sum(axis=3)
            y[..., *hw] = pixels.max(axis=2)
            winners.append(pixels.argmax(axis=2)[..., None])
        return y, (x.shape, x.dtype, windows, winners)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x_shape, dtype, windows, winners = cache
        self.check_gradient(dy, (*x_shape[:2], *self.output_size), dtype)
        xp = array_module(dy)
        dx = xp.zeros(x_shape, dtype)
        for (hw, window), winner in zip(windows, winners, strict=True):
            share = dx[window]
            won = xp.arange(share.shape[2] * share.shape[3]) == winner  # (N, C, pixels)
            share += (won * dy[..., *hw][..., None]).reshape(share.shape)
        return dx, {}
