"""Two-dimensional convolution (cross-correlation, as in every framework)."""

import math

from ..backend import array_module
from .base import Layer
from .initializers import fan_in_uniform


class Conv2d(Layer):
    """y_nfhw = Σ_cij weight_fcij x̃_n,c,Sh+i,Sw+j + bias_f,    x̃ = x with a border of `padding` zeros

    x (N, C, H, W), y (N, F, H', W') with H' = ⌊(H + 2 padding − K) / S⌋ + 1 and W' alike; weight (F, C, K, K),
    bias (F,); C = in_channels, F = out_channels, K = kernel_size, S = stride. K, S and padding may be pairs.

    With the patches laid out as columns, cols_cij,hwn = x̃_n,c,Sh+i,Sw+j, the sum is one matrix product:

        y = weight cols + bias

    Backward, from dy_nfhw = ∂L/∂y_nfhw:

        dweight_fcij = Σ_hwn dy_f,hwn cols_cij,hwn
        dbias_f      = Σ_hwn dy_f,hwn
        dcols        = weightᵀ dy
        dx̃_n,c,Sh+i,Sw+j += dcols_cij,hwn      each pixel collects from all patches that it was copied to

    The columns keep the batch as the innermost axis in memory: long contiguous runs are what copying is fast at. The
    output is seen as (N, F, H', W') and keeps that memory order.

    Raises: ValueError, TypeError (forward) if x is not (N, C, H, W) with H, W large enough for one patch, or not of
    the weights' dtype.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True,
        *, rng=None, dtype="float32", backend="numpy",
    ):  # fmt: skip
        super().__init__(
            dtype, backend, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size,
            stride=stride, padding=padding, bias=bias,
        )  # fmt: skip
        self.kernel_size, self.stride = self.pair("kernel_size"), self.pair("stride")
        self.padding = self.pair("padding", least=0)
        F = self.integer("out_channels")
        weight_shape = (F, self.integer("in_channels"), *self.kernel_size)
        shapes = {"weight": weight_shape} | ({"bias": (F,)} if self.flag("bias") else {})
        self.params = {
            name: self.backend.asarray(fan_in_uniform(rng, shape, math.prod(weight_shape[1:])), self.dtype)
            for name, shape in shapes.items()
        }

    def forward(self, x, train=False):
        weight = self.params["weight"]
        F, C, KH, KW = weight.shape
        (SH, SW), (PH, PW) = self.stride, self.padding
        self.check_input(x, "N", C, "H", "W")
        xp = array_module(x)
        if PH or PW:
            x = xp.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        if x.shape[2] < KH or x.shape[3] < KW:
            raise ValueError(f"{self}: expected at least {KH} by {KW} pixels with padding, got {tuple(x.shape[2:])}")
        patches = xp.lib.stride_tricks.sliding_window_view(x, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]
        N, _, H, W = patches.shape[:4]  # H', W' of the docstring
        cols = patches.transpose(1, 4, 5, 2, 3, 0).reshape(C * KH * KW, H * W * N)
        y = weight.reshape(F, -1) @ cols  # (F, H'W'N)
        if "bias" in self.params:
            y = y + self.params["bias"][:, None]
        return y.reshape(F, H, W, N).transpose(3, 0, 1, 2), (cols, x.shape, (N, F, H, W))

    def backward(self, dy, cache):
        cols, (N, C, H, W), y_shape = cache  # H, W with padding
        self.check_gradient(dy, y_shape)
        weight = self.params["weight"]
        F, _, KH, KW = weight.shape
        (SH, SW), (PH, PW) = self.stride, self.padding
        dy_h, dy_w = y_shape[2:]
        dy = dy.transpose(1, 2, 3, 0).reshape(F, -1)  # (F, H'W'N)
        grads = {"weight": (dy @ cols.T).reshape(weight.shape)}
        if "bias" in self.params:
            grads["bias"] = dy.sum(axis=1)
        dcols = (weight.reshape(F, -1).T @ dy).reshape(C, KH, KW, dy_h, dy_w, N)
        dx = array_module(dy).zeros((C, H, W, N), dy.dtype)
        for i in range(KH):
            for j in range(KW):
                dx[:, i : i + SH * dy_h : SH, j : j + SW * dy_w : SW] += dcols[:, i, j]
        return dx[:, PH : H - PH, PW : W - PW].transpose(3, 0, 1, 2), grads
