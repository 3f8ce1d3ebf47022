"""MaxPool2d without overlapping windows by loops in C."""

from pathlib import Path

import numpy as np

from ...layers import MaxPool2d
from .arrays import batch_innermost, contiguous, loops

SOURCE = Path(__file__).with_suffix(".c")


class FastMaxPool2d(MaxPool2d):
    """layers.MaxPool2d where stride = kernel_size, at most 256 pixels a window: the same numbers and gradients."""

    in_c = ((SOURCE,),)

    def __init__(self, pool, threads):
        self.__dict__ |= pool.__dict__ | {"threads": threads}

    def forward(self, x, train=False):
        self.check_input(x, "N", "C", "H", "W")
        (N, C, H, W), (KH, KW) = x.shape, self.kernel_size
        if H < KH or W < KW:
            raise ValueError(f"{self}: expected at least one window of pixels, got {tuple(x.shape)}")
        x = batch_innermost(x)
        y, won = (np.empty((C, H // KH, W // KW, N), dtype) for dtype in (x.dtype, np.uint8))
        loops(x.dtype, SOURCE).run("pool", self.threads, C * (H // KH), N, H, W, KH, KW, 0, x, y, won)
        return y.transpose(3, 0, 1, 2), (won, x.shape)

    def backward(self, dy, cache):
        (won, (C, H, W, N)), (KH, KW) = cache, self.kernel_size
        dy = contiguous(dy.transpose(1, 2, 3, 0), won.shape, dy.dtype)
        dx = np.zeros((C, H, W, N), dy.dtype) if H % KH or W % KW else np.empty((C, H, W, N), dy.dtype)
        loops(dy.dtype, SOURCE).run("pool", self.threads, C * (H // KH), N, H, W, KH, KW, 1, dx, dy, won)
        return dx.transpose(3, 0, 1, 2), {}
