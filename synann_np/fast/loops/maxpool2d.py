"""MaxPool2d without overlapping windows by loops in C."""

import ctypes
from pathlib import Path

import numpy as np

from ...layers import MaxPool2d
from .arrays import batch_innermost, call, contiguous, loops

SOURCE = Path(__file__).with_suffix(".c")
_number, _array = ctypes.c_int64, ctypes.c_void_p
SIGNATURES = {name: [*[_number] * 7, *[_array] * 3] for name in ("forward", "backward")}


class FastMaxPool2d(MaxPool2d):
    """layers.MaxPool2d where stride = kernel_size, at most 256 pixels a window: the same numbers and gradients."""

    in_c = ((SOURCE, SIGNATURES),)

    def __init__(self, pool, threads):
        self.__dict__ |= pool.__dict__
        self.threads = threads

    def forward(self, x, train=False):
        self.check_input(x, "N", "C", "H", "W")
        KH, KW = self.kernel_size
        N, C, H, W = x.shape
        if H < KH or W < KW:
            raise ValueError(f"{self}: expected at least one window of pixels, got {tuple(x.shape)}")
        x = batch_innermost(x)
        y = np.empty((C, H // KH, W // KW, N), x.dtype)
        won = np.empty(y.shape, np.uint8)
        call(loops(SOURCE, SIGNATURES, x.dtype).forward, self.threads, N, C, H, W, KH, KW, x, y, won)
        return y.transpose(3, 0, 1, 2), (won, x.shape)

    def backward(self, dy, cache):
        won, shape = cache
        dy = contiguous(dy.transpose(1, 2, 3, 0), won.shape, dy.dtype)
        C, H, W, N = shape
        dx = np.empty(shape, dy.dtype)
        sizes = (N, C, H, W, *self.kernel_size)
        call(loops(SOURCE, SIGNATURES, dy.dtype).backward, self.threads, *sizes, dy, won, dx)
        return dx.transpose(3, 0, 1, 2), {}
