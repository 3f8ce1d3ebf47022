"""Two-dimensional maximum pooling."""

from typing import Any

from ..backend import Array, array_module
from .base import IntPair, Layer
from .windows import border, pixels_of_windows, window_count


class MaxPool2d(Layer):
    """y_nchw = max_ij x̃_n,c,Sh+Di,Sw+Dj,    0 ≤ i, j < K,    x̃ = x with a border of −∞, `padding` wide

    x (N, C, H, W), y (N, C, H', W') with H' = ⌊(H + 2 padding − D (K − 1) − 1) / S⌋ + 1 and W' alike; K = kernel_size,
    S = stride (K if not given), D = dilation. K, S, D and padding may be pairs. Pixels beyond the last whole window are
    ignored; with ceil_mode=True a window that reaches beyond the border covers them (see windows.py).

    Backward: a small change of the largest pixel changes the maximum by the same amount, and one of the others does not
    change it. So with (i*, j*) the largest pixel of a window, the winner,

        dx̃_n,c,Sh+Di*,Sw+Dj* += dy_nchw

    Of equal pixels the first in row-major order wins, as in PyTorch. Ties are common: in a constant background all
    pixels of a window are equal. A NaN wins: it must not be hidden.

    Raises: ValueError, TypeError if K, S or D is not an integer >= 1 or a pair of them, padding is more than half a
    window, x is not (N, C, H, W) with at least one whole window, or dy is not shaped like y.
    """

    def __init__(
        self, kernel_size: IntPair, stride: IntPair | None = None, padding: IntPair = 0, dilation: IntPair = 1,
        ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
        )
        self.kernel_size = self.pair("kernel_size")
        self.stride = self.kernel_size if stride is None else self.pair("stride")
        self.padding, self.dilation = self.pair("padding", 0), self.pair("dilation")
        self.ceil_mode = self.flag("ceil_mode")
        for K, P, D in zip(self.kernel_size, self.padding, self.dilation, strict=True):
            if 2 * P > D * (K - 1) + 1:
                raise ValueError(
                    f"{self}: expected padding of at most half a window, since a window must not see padding only"
                )

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", "C", "H", "W")
        xp = array_module(x)
        counts = self.window_counts(x.shape[2:])
        if min(counts) < 1:
            raise ValueError(f"{self}: expected at least one window of pixels, got {tuple(x.shape)}")
        sides = [
            border(*sizes)
            for sizes in zip(
                x.shape[2:], counts, self.kernel_size, self.stride, self.padding, self.dilation, strict=True
            )
        ]
        x_shape = x.shape
        if any(map(any, sides)):
            x = xp.pad(x, ((0, 0), (0, 0), *sides), constant_values=-xp.inf)
        windows = pixels_of_windows(counts, self.kernel_size, self.stride, self.dilation)
        y = x[windows[0]]
        winner = xp.zeros_like(y, dtype="uint8" if len(windows) <= 256 else "int64")
        for k, window in enumerate(windows[1:], start=1):
            winner = xp.where((x[window] > y) | xp.isnan(x[window]), k, winner)
            y = xp.maximum(y, x[window])
        return y, (winner, x_shape, x.shape, sides, windows)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        winner, (_, _, H, W), (N, C, padded_h, padded_w), ((top, _), (left, _)), windows = cache
        self.check_gradient(dy, winner.shape)
        # Batch innermost in memory, as the convolutions have it.
        dx = array_module(dy).zeros((C, padded_h, padded_w, N), dy.dtype).transpose(3, 0, 1, 2)
        for k, window in enumerate(windows):
            dx[window] += dy * (winner == k)
        return dx[:, :, top : top + H, left : left + W], {}

    def window_counts(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """H', W' for an image of (H, W) pixels."""
        sizes = zip(image, self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        return tuple(window_count(*size, self.ceil_mode) for size in sizes)
