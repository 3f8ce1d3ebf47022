"""Conv2d → (Dropout2d) → MaxPool2d(2) → ReLU as one layer by loops in C."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from ...layers import Layer
from .arrays import CACHE_LINE, contiguous, loops, scratch, strided

SOURCE = Path(__file__).with_suffix(".c")
CHUNKS = 8  # of the batch, backward, each with its own sums
BYTES_OF_PATCHES = 2**15  # gathered at a time: two thirds of a cache of the first level, or one of them


class ConvPoolReLU(Layer):
    """relu(maxpool(m · conv(x))) with the parameters of `conv` and the numbers of the four layers, m the dropout mask.

    Forward: the four outputs under a pooling window read one patch of (KH+1) by (KW+1) pixels,

        z_f,ab,hw = Σ_cij weight_fcij x_c,2h+a+i,2w+b+j        a, b = 0, 1
        y_f,hw    = max(0, m_f (max_ab z_f,ab,hw + bias_f))

    for several filters, all (a, b) and a vector of windows in registers. A filter with m_f = 0 is left out: its y is 0,
    whatever x.

    Backward: of the four outputs of a window only the first of the largest gets a gradient, and only where y > 0. So
    with (a*, b*) that winner, kept as one byte a window, and all sums going over the windows that have one,

        d_f,hw      = m_f dy_f,hw
        dbias_f     = Σ_n,hw d_f,hw
        dweight_fcij = Σ_n,hw d_f,hw x_c,2h+a*+i,2w+b*+j
        dx_c,2h+a*+i,2w+b*+j += d_f,hw weight_fcij

    a quarter of the multiplications of the plain layers, or less. Here the channels are innermost, (H, W, C), so that a
    row of a patch is one run of KW · C numbers. Both go image by image, so that everything stays in a cache.

    x and dy may have any strides. dx is a view of (N, H, W, C), C padded. The
    cache holds x itself, which must not change before backward.
    """

    in_c = (SOURCE,)
    draws_masks = True

    def __init__(self, conv, dropout, threads, input_gradient=True):
        super().__init__(conv.dtype, conv.backend, **conv.config)
        self.params, self.conv, self.dropout = conv.params, conv, dropout
        self.threads, self.input_gradient = threads, input_gradient

    def forward(self, x, train=False, step=0, first_row=0):
        F, C, KH, KW = self.params["weight"].shape
        self.conv.check_input(x, "N", C, "H", "W")
        N, _, H, W = x.shape
        if H <= KH or W <= KW:
            raise ValueError(f"{self.conv}, pooled: expected {KH + 1} by {KW + 1} pixels or more, got {x.shape[2:]}")
        weight = contiguous(self.params["weight"], (F, C, KH, KW), x.dtype)
        bias = contiguous(self.params["bias"], (F,), x.dtype) if "bias" in self.params else None
        y, mask = np.empty((N, F, (H - KH + 1) // 2, (W - KW + 1) // 2), x.dtype), None
        won = np.empty(y.shape, np.uint8)
        if train and self.dropout is not None:
            mask = self.dropout.mask(y, step, first_row)
        x, *strides = strided(x)
        kernel, patch = loops(SOURCE, x.dtype), C * (KH + 1) * (KW + 1)
        band = max(1, min(y.shape[2], BYTES_OF_PATCHES // (patch * y.shape[3] * x.itemsize)))
        windows = -(-band * y.shape[3] // kernel.lanes) * kernel.lanes
        halves = np.zeros((self.threads, C * H * (W + W % 2) + kernel.lanes), x.dtype)
        patches = np.zeros((self.threads, patch * windows + kernel.lanes), x.dtype)  # all lanes are computed
        pixel = np.arange(patch).reshape(C, KH + 1, KW + 1)[:, :KH, :KW].ravel() * windows
        sizes = (N, C, H, W, F, KH, KW, *y.shape[2:], *strides, band, pixel.size)
        kernel.run("forward", self.threads, N, *sizes, pixel, x, weight, bias, mask, y, halves, patches, won)
        return y, (x, mask, won)

    def backward(self, dy, cache):
        """dy (N, F, h, w) -> dx (None without input_gradient), {"weight", "bias"}."""
        x, mask, won = cache
        (N, C, H, W), (_, F, h, w), (KH, KW) = x.shape, won.shape, self.conv.kernel_size
        if dy.shape != won.shape or dy.dtype != x.dtype:
            dy = contiguous(dy, won.shape, x.dtype)
        (dy, *dy_strides), strides, kernel = strided(dy), strided(x)[1:], loops(SOURCE, x.dtype)
        line = CACHE_LINE // x.itemsize
        CP = min(1 << (C - 1).bit_length(), -(-C // line) * line)  # rows of images begin with a vector
        KP = -(-KW * CP // line) * line // CP  # and so do those of filters
        weight = np.zeros((F, KH + 1, KP, CP), x.dtype)
        weight[:, :KH, :KW, :C] = contiguous(self.params["weight"], (F, C, KH, KW), x.dtype).transpose(0, 2, 3, 1)
        in_image, in_filter = _cells(KH, KW * CP, W * CP, KP * CP, kernel.lanes, kernel.constant("cells_at_once"))
        dweight, dbias = np.zeros((CHUNKS, *weight.shape), x.dtype), np.zeros((CHUNKS, F))
        dx = np.empty((N, H, W, CP), x.dtype) if self.input_gradient else None
        space = -(-(H * W * CP + line) // line) * line  # the last vector of the last row ends behind the image
        images, windows = scratch(self.threads, 2 * space, dtype=x.dtype), np.empty((self.threads, h * w + 1), x.dtype)
        pixels = np.empty(windows.shape, np.int64)
        sizes = (N, C, H, W, F, h, w, *strides, *dy_strides, CP, CHUNKS, in_image.size, weight[0].size)
        arrays = (in_image, in_filter, x, dy, mask, weight, won, dweight, dx, dbias, images, windows, pixels, space)
        kernel.run("backward", self.threads, CHUNKS, *sizes, *arrays)
        grads = {"weight": np.ascontiguousarray(dweight.sum(axis=0)[:, :KH, :KW, :C].transpose(0, 3, 1, 2))}
        if "bias" in self.params:
            grads["bias"] = dbias.sum(axis=0).astype(x.dtype)
        return None if dx is None else dx[..., :C].transpose(0, 3, 1, 2), grads


@lru_cache
def _cells(KH, length, row_of_image, row_of_filter, lanes, at_once):
    """Where the vectors of a patch begin, in an image and in a filter (KH + 1 rows): KH rows of this length.

    There are some more, of the last row of filters, which does not count, up to a multiple of at_once.
    """
    rows, vectors = np.arange(KH)[:, None], np.arange(0, length, lanes)
    in_image, in_filter = ((rows * row + vectors).ravel() for row in (row_of_image, row_of_filter))
    more = (0, -in_image.size % at_once)
    return np.pad(in_image, more), np.pad(in_filter, more, constant_values=KH * row_of_filter)
