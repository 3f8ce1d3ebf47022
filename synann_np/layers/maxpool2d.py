"""Two-dimensional maximum pooling."""

from ..backend import array_module
from .base import Layer


class MaxPool2d(Layer):
    """y_nchw = max_ij x_n,c,Sh+i,Sw+j,    0 ≤ i, j < K

    x (N, C, H, W), y (N, C, H', W') with H' = ⌊(H − K) / S⌋ + 1 and W' alike; K = kernel_size, S = stride (K if not
    given). K and S may be pairs. Pixels beyond the last whole window are not seen.

    Backward: the maximum is the identity of the pixel that won and ignores the others, so with (i*, j*) the winner of
    a window,

        dx_n,c,Sh+i*,Sw+j* += dy_nchw

    Of equal pixels the first in row-major order wins, as in PyTorch. Ties are no rare case: a constant background
    makes whole windows equal. A NaN wins: it must not be hidden.

    Raises: ValueError, TypeError if K or S is no integer >= 1 or a pair of them, if x is not (N, C, H, W) with at least
    one whole window, or dy not like y.
    """

    def __init__(self, kernel_size, stride=None):
        super().__init__(kernel_size=kernel_size, stride=stride)
        self.kernel_size = self.pair("kernel_size")
        self.stride = self.kernel_size if stride is None else self.pair("stride")

    def forward(self, x, train=False):
        self.check_input(x, "N", "C", "H", "W")
        xp = array_module(x)
        if x.shape[2] < self.kernel_size[0] or x.shape[3] < self.kernel_size[1]:
            raise ValueError(f"{self}: expected at least one window of pixels, got {tuple(x.shape)}")
        windows = self.windows(x.shape)
        y = x[windows[0]]
        winner = xp.zeros_like(y, dtype="uint8" if len(windows) <= 256 else "int64")
        for k, window in enumerate(windows[1:], start=1):
            winner = xp.where((x[window] > y) | xp.isnan(x[window]), k, winner)
            y = xp.maximum(y, x[window])
        return y, (winner, x.shape)

    def backward(self, dy, cache):
        winner, x_shape = cache
        self.check_gradient(dy, winner.shape)
        N, C, H, W = x_shape
        # Batch innermost in memory, as the convolutions beside this layer have it.
        dx = array_module(dy).zeros((C, H, W, N), dy.dtype).transpose(3, 0, 1, 2)
        for k, window in enumerate(self.windows(x_shape)):
            dx[window] += dy * (winner == k)
        return dx, {}

    def windows(self, x_shape):
        """Slices that pick element (i, j) of every window, in row-major order of (i, j)."""
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        stop_h, stop_w = x_shape[2] - KH + 1, x_shape[3] - KW + 1
        return [
            (slice(None), slice(None), slice(i, i + stop_h, SH), slice(j, j + stop_w, SW))
            for i in range(KH)
            for j in range(KW)
        ]
