"""Conv2d of stride 1 by loops in C."""

from itertools import groupby
from pathlib import Path

import numpy as np

from ...layers import Conv2d
from .arrays import batch_innermost, contiguous, loops, scratch

SOURCE = Path(__file__).with_suffix(".c")
SEGMENT = 256  # outputs that a part of `transpose` takes


class FastConv2d(Conv2d):
    """layers.Conv2d with stride 1: the same parameters, numbers and gradients.

    With the batch innermost in memory, x (C, H, W, N), a row of outputs of one filter is a sum of runs of numbers,

        y_f,h,t = bias_f + Σ_cij weight_fcij x_c,h+i−PH,t+(j−PW)N        t = (w, n), 0 outside the image

    a matrix product whose second factor is gathered for a few vectors of t at a time. Backward:

        dbias_f      = Σ_ht dy_f,h,t
        dweight_fcij = Σ_ht dy_f,h,t x_c,h+i−PH,t+(j−PW)N                  over x with its border of zeros
        dx           = the convolution of dy, padded by K − 1 − P, with weight turned by 180° and f, c exchanged
    """

    in_c = ((SOURCE,),)

    def __init__(self, conv, threads, input_gradient=True):
        self.__dict__ |= conv.__dict__  # the same parameters, not copies
        self.threads, self.input_gradient = threads, input_gradient

    def forward(self, x, train=False):
        weight, bias = self.weights()
        (KH, KW), (PH, PW) = self.kernel_size, self.padding
        self.check_input(x, "N", weight.shape[1], "H", "W")
        if x.shape[2] + 2 * PH < KH or x.shape[3] + 2 * PW < KW:
            raise ValueError(f"{self}: expected at least {KH} by {KW} pixels with padding, got {tuple(x.shape[2:])}")
        x = batch_innermost(x)
        return self.convolve(x, weight, bias, PH, PW).transpose(3, 0, 1, 2), x

    def backward(self, dy, cache):
        x, weight, (PH, PW) = cache, self.weights()[0], self.padding
        F, C, KH, KW = weight.shape
        if PH or PW:
            x = np.pad(x, ((0, 0), (PH, PH), (PW, PW), (0, 0)))
        _, H, W, N = x.shape
        dy = contiguous(dy.transpose(1, 2, 3, 0), (F, H - KH + 1, W - KW + 1, N), x.dtype)
        grads = {"weight": np.empty_like(weight)}
        if "bias" in self.params:
            grads["bias"] = dy.reshape(F, -1).sum(axis=1)
        kernel, outputs = loops(x.dtype, SOURCE), dy[0].size
        tile, terms = kernel.constant("tile"), kernel.constant("terms")
        filters = -(-F // tile) * tile
        tiles, sums = scratch(filters, outputs, dtype=x.dtype), scratch(self.threads, terms, tile, dtype=x.dtype)
        job = (N, C, H, W, F, KH, KW, x, dy, tiles, sums, grads["weight"])
        kernel.run("transpose", self.threads, -(-outputs // SEGMENT), *job)
        kernel.run("gradient", self.threads, -(-C * KH * KW // terms) * (filters // tile), *job)
        if not self.input_gradient:
            return None, grads
        turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        return self.convolve(dy, turned, None, KH - 1 - PH, KW - 1 - PW).transpose(3, 0, 1, 2), grads

    def convolve(self, x, weight, bias, PH, PW):
        """y (F, H', W', N) of x (C, H, W, N) with a border of PH < KH and PW < KW zeros."""
        (C, H, W, N), (F, _, KH, KW) = x.shape, weight.shape
        kernel = loops(x.dtype, SOURCE)
        strip, strips = kernel.constant("strip"), []
        columns = range(W + 2 * PW - KW + 1)
        for (j0, j1), run in groupby(columns, lambda w: (max(PW - w, 0), min(KW, W + PW - w))):
            run = list(run)
            begin, end = run[0] * N, (run[-1] + 1) * N
            strips += [(start, min(strip, end - start), j0, j1) for start in range(begin, end, strip)]
        y = np.empty((F, H + 2 * PH - KH + 1, len(columns), N), x.dtype)
        weight = np.ascontiguousarray(weight.transpose(0, 2, 3, 1))
        panels = scratch(self.threads, KH * KW * C * strip, dtype=x.dtype)
        sizes, strips = (N, C, H, W, F, KH, KW, PH, PW, len(strips)), np.array(strips, np.int64)
        kernel.run("forward", self.threads, y.shape[1] * len(strips), *sizes, strips, x, weight, bias, panels, y)
        return y

    def weights(self):
        """weight and bias (None without one), contiguous."""
        weight, bias = map(self.params.get, ("weight", "bias"))
        weight = contiguous(weight, (len(weight), self.in_channels, *self.kernel_size), self.dtype)
        return weight, None if bias is None else contiguous(bias, weight.shape[:1], self.dtype)
