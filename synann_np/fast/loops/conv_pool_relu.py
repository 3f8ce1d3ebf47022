"""Conv2d → (Dropout2d) → MaxPool2d(2) → ReLU as one layer by loops in C."""

from pathlib import Path

import numpy as np

from ...layers import Layer
from .arrays import CACHE_LINE, contiguous, loops, scratch, strided

SOURCE = Path(__file__).with_suffix(".c")
MOST_COMPILED = 4  # image sizes of a layer with loops of their own: compiling takes as long as hundreds of steps
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

    x is copied unless it is contiguous; dy may have any strides. dx is a view of (N, H, W, C), C padded. The cache
    holds x itself, which must not change before backward. The loops are compiled for this layer, and for at most
    MOST_COMPILED sizes of images.
    """

    draws_masks = True

    def __init__(self, conv, dropout, threads, input_gradient=True):
        super().__init__(conv.dtype, conv.backend, **conv.config)
        self.params, self.conv, self.dropout = conv.params, conv, dropout
        self.threads, self.input_gradient = threads, input_gradient
        self.in_c, self.sizes = (self._source(0, 0),), set()

    def forward(self, x, train=False, step=0, first_row=0):
        F, C, (KH, KW) = len(self.params["weight"]), self.conv.in_channels, self.conv.kernel_size
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
        kernel, x = self._loops(x), contiguous(x, x.shape, x.dtype)
        h, w, patch, lanes = *y.shape[2:], C * (KH + 1) * (KW + 1), kernel.lanes
        band = max(1, min(h, BYTES_OF_PATCHES // (patch * w * x.itemsize)))
        windows = whole(band * w, lanes)
        buffers = patch + 2 * kernel.constant("filters_at_once")
        space = whole(C * H * (W + W % 2), lanes) + buffers * windows + 2 * lanes
        memory = scratch(self.threads, whole(space, CACHE_LINE), dtype=x.dtype)
        memory[:] = 0  # all lanes are computed
        job = (F, H, W, band, memory.shape[1])
        kernel.run("forward", self.threads, N, *job, x, weight, bias, mask, y, memory, won)
        return y, (x, mask, won)

    def backward(self, dy, cache):
        """dy (N, F, h, w) -> dx (None without input_gradient), {"weight", "bias"}."""
        x, mask, won = cache
        (N, C, H, W), (_, F, h, w), (KH, KW) = x.shape, won.shape, self.conv.kernel_size
        self.check_gradient(dy, won.shape)
        (dy, *strides), kernel = strided(dy), self._loops(x)
        CP, lanes, shape = kernel.constant("channels"), kernel.lanes, (F, KH, kernel.constant("row_of_filter"))
        weight, dweight = np.zeros(shape, x.dtype), np.zeros((CHUNKS, *shape), x.dtype)
        in_rows = weight[..., : KW * CP].reshape(F, KH, KW, CP)
        in_rows[..., :C] = contiguous(self.params["weight"], (F, C, KH, KW), x.dtype).transpose(0, 2, 3, 1)
        weight[..., : KW * CP] = in_rows.reshape(F, KH, KW * CP)
        dx, dbias = np.empty((N, H, W, CP), x.dtype) if self.input_gradient else None, np.zeros((CHUNKS, F))
        space = 2 * whole(H * W * CP, lanes) + whole(h * w, lanes) + 3 * lanes + 8 // x.itemsize * h * w
        memory = scratch(self.threads, whole(space, CACHE_LINE), dtype=x.dtype)
        job = (N, F, H, W, *strides, CHUNKS, memory.shape[1])
        kernel.run("backward", self.threads, CHUNKS, *job, x, dy, mask, weight, won, dweight, dx, memory, dbias)
        dweight = dweight.sum(axis=0)[..., : KW * CP].reshape(F, KH, KW, CP)[..., :C].transpose(0, 3, 1, 2)
        grads = {"weight": np.ascontiguousarray(dweight)}
        if "bias" in self.params:
            grads["bias"] = dbias.sum(axis=0).astype(x.dtype)
        return None if dx is None else dx[..., :C].transpose(0, 3, 1, 2), grads

    def _loops(self, x):
        """The loops for the size of these images, or for any size where there are too many."""
        size = x.shape[2:] if x.shape[2:] in self.sizes or len(self.sizes) < MOST_COMPILED else (0, 0)
        self.sizes.add(size)
        return loops(x.dtype, *self._source(*size))

    def _source(self, H, W):
        KH, KW = self.conv.kernel_size
        return SOURCE, ("C", self.conv.in_channels), ("KH", KH), ("KW", KW), ("HEIGHT", H), ("WIDTH", W)


def whole(n, step):
    """n rounded up to whole steps."""
    return -(-n // step) * step
