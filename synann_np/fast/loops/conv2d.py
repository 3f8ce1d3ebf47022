"""Conv2d of stride 1 by loops in C."""

import ctypes
from pathlib import Path

import numpy as np

from ...layers import Conv2d
from .arrays import batch_innermost, call, contiguous, loops

SOURCE = Path(__file__).with_suffix(".c")
_number, _array = ctypes.c_int64, ctypes.c_void_p
SIGNATURES = {
    "forward": [*[_number] * 11, *[_array] * 4],
    "gradient": [*[_number] * 8, *[_array] * 3],
}


class FastConv2d(Conv2d):
    """layers.Conv2d with stride 1: the same parameters, numbers and gradients.

    With the batch innermost in memory, x (C, H, W, N), a row of outputs of one filter is a sum of runs of numbers,

        y_f,h,t = bias_f + Σ_cij weight_fcij x_c,h+i−PH,t+(j−PW)N        t = (w, n), 0 outside the image

    a matrix product whose second factor is gathered for a few vectors of t at a time. Backward:

        dbias_f      = Σ_ht dy_f,h,t
        dweight_fcij = Σ_ht dy_f,h,t x_c,h+i−PH,t+(j−PW)N                  over x with its border of zeros
        dx           = the convolution of dy, padded by K − 1 − P, with weight turned by 180° and f, c exchanged
    """

    in_c = ((SOURCE, SIGNATURES),)

    def __init__(self, conv, threads, input_gradient=True):
        self.__dict__ |= conv.__dict__  # the same parameters, not copies
        self.threads, self.input_gradient = threads, input_gradient

    def forward(self, x, train=False):
        F, C, KH, KW = self.params["weight"].shape
        PH, PW = self.padding
        self.check_input(x, "N", C, "H", "W")
        N, _, H, W = x.shape
        if H + 2 * PH < KH or W + 2 * PW < KW:
            raise ValueError(f"{self}: expected at least {KH} by {KW} pixels with padding, got {tuple(x.shape[2:])}")
        x = batch_innermost(x)
        weight, bias = self.weights()
        y = np.empty((F, H + 2 * PH - KH + 1, W + 2 * PW - KW + 1, N), x.dtype)
        sizes = (N, C, H, W, F, KH, KW, PH, PW)
        call(loops(SOURCE, SIGNATURES, x.dtype).forward, self.threads, 0, *sizes, x, weight, bias, y)
        return y.transpose(3, 0, 1, 2), x

    def backward(self, dy, cache):
        x, (F, C, KH, KW), (PH, PW) = cache, self.params["weight"].shape, self.padding
        _, H, W, N = x.shape
        dy = contiguous(dy.transpose(1, 2, 3, 0), (F, H + 2 * PH - KH + 1, W + 2 * PW - KW + 1, N), x.dtype)
        weight, bias = self.weights()
        weight = contiguous(weight, (F, len(x), KH, KW), x.dtype)
        grads = {"weight": np.empty_like(weight)}
        if bias is not None:
            grads["bias"] = dy.reshape(F, -1).sum(axis=1)
        padded = np.pad(x, ((0, 0), (PH, PH), (PW, PW), (0, 0))) if PH or PW else x
        sizes = (N, C, H + 2 * PH, W + 2 * PW, F, KH, KW)
        in_c = loops(SOURCE, SIGNATURES, x.dtype)
        call(in_c.gradient, self.threads, *sizes, padded, dy, grads["weight"])
        if not self.input_gradient:
            return None, grads
        dx = np.empty_like(x)
        sizes = (N, F, *dy.shape[1:3], C, KH, KW, KH - 1 - PH, KW - 1 - PW)
        call(in_c.forward, self.threads, 1, *sizes, dy, weight, None, dx)
        return dx.transpose(3, 0, 1, 2), grads

    def weights(self):
        """weight and bias (None without one), contiguous."""
        weight, bias = map(self.params.get, ("weight", "bias"))
        return contiguous(weight, weight.shape, self.dtype), None if bias is None else contiguous(
            bias, bias.shape, self.dtype
        )
