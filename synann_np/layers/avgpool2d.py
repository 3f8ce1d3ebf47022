"""Two-dimensional average pooling."""

from typing import Any

import numpy as np

from ..backend import Array, array_module
from .base import IntPair, Layer
from .windows import border, pixels_of_windows, window_count


class AvgPool2d(Layer):
    """y_nchw = Σ_ij x̃_n,c,Sh+i,Sw+j / M_hw,    0 ≤ i, j < K,    x̃ = x with a border of zeros, `padding` wide

    x (N, C, H, W), y (N, C, H', W') as of MaxPool2d; K = kernel_size, S = stride (K if not given). K, S and padding may
    be pairs. M_hw is the number of pixels of the window: K², less what a window of ceil_mode=True reaches beyond the
    border, and with count_include_pad=False less those of the border.

    Backward. y is linear in x̃, each pixel hands its share of the gradient back:

        dx̃_n,c,Sh+i,Sw+j += dy_nchw / M_hw

    Raises: ValueError, TypeError if K or S is not an integer >= 1 or a pair of them, padding is more than half a
    window, x is not (N, C, H, W) with at least one whole window, or dy is not shaped like y.
    """

    def __init__(
        self, kernel_size: IntPair, stride: IntPair | None = None, padding: IntPair = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )  # fmt: skip
        self.kernel_size = self.pair("kernel_size")
        self.stride = self.kernel_size if stride is None else self.pair("stride")
        self.padding = self.pair("padding", 0)
        self.ceil_mode, self.count_include_pad = self.flag("ceil_mode"), self.flag("count_include_pad")
        if any(2 * P > K for K, P in zip(self.kernel_size, self.padding, strict=True)):
            raise ValueError(
                f"{self}: expected padding of at most half a window, since a window must not see padding only"
            )

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", "C", "H", "W")
        xp, image = array_module(x), x.shape[2:]
        axes = list(zip(image, self.kernel_size, self.stride, self.padding, strict=True))
        counts = tuple(window_count(*axis, ceil_mode=self.ceil_mode) for axis in axes)
        if min(counts) < 1:
            raise ValueError(f"{self}: expected at least one window of pixels, got {tuple(x.shape)}")
        sides = [border(size, count, *rest) for (size, *rest), count in zip(axes, counts, strict=True)]
        if any(map(any, sides)):
            x = xp.pad(x, ((0, 0), (0, 0), *sides))
        M = np.outer(*(self._pixels(*axis, count) for axis, count in zip(axes, counts, strict=True)))
        M = xp.asarray(M, dtype=x.dtype)  # (H', W')
        windows = pixels_of_windows(counts, self.kernel_size, self.stride)
        return sum(x[window] for window in windows) / M, (image, x.shape, sides, windows, M)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        (H, W), (N, C, padded_h, padded_w), ((top, _), (left, _)), windows, M = cache
        self.check_gradient(dy, (N, C, *M.shape), M.dtype)
        dx = array_module(dy).zeros((N, C, padded_h, padded_w), dy.dtype)
        for window in windows:
            dx[window] += dy / M
        return dx[:, :, top : top + H, left : left + W], {}

    def _pixels(self, size, kernel_size, stride, padding, count):
        """How many pixels each window along an axis is the mean of: (count,)."""
        start = np.arange(count) * stride - padding
        low, high = (-padding, size + padding) if self.count_include_pad else (0, size)
        return np.minimum(start + kernel_size, high) - np.maximum(start, low)
