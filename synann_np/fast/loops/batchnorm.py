"""BatchNorm, with or without a relu behind it, by loops in C."""

import ctypes
from pathlib import Path

import numpy as np

from ...layers import Layer
from .arrays import address, batch_innermost, contiguous, loops

SOURCE = Path(__file__).with_suffix(".c")
_number, _array, _real = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double
SIGNATURES = {
    "forward": [*[_number] * 6, _real, *[_array] * 6],
    "backward": [*[_number] * 6, _real, *[_array] * 9],
}


class FastBatchNorm(Layer):
    """y_nc = weight_c x̂_nc + bias_c, or max(0, ·) of it, as layers.BatchNorm (and ReLU) compute it.

    x (N, C) or (N, C, ...). It shares the parameters and buffers of `norm`. x̂ is not stored: backward computes it again
    from x. With d_nc = dy_nc, or with relu 0 where y_nc ≤ 0, and M values a channel:

        dweight_c = s_c Σ_n d_nc (x_nc − μ_c)
        dbias_c   = Σ_n d_nc
        dx_nc     = weight_c s_c (d_nc − dbias_c / M − x̂_nc dweight_c / M)

    which is BatchNorm's dx, as weight_c can be taken out of both means; with constant μ and σ² the last two terms are
    absent. Sums are taken in float64 over blocks of 512 values.
    """

    mixes_rows = True

    def __init__(self, norm, relu, threads):
        super().__init__(norm.dtype, norm.backend, **norm.config)
        self.norm, self.relu, self.threads = norm, relu, threads
        self.params, self.buffers = norm.params, norm.buffers

    def forward(self, x, train=False):
        self.norm.check_shape(x)
        C = self.norm.num_features
        by_columns, shape = x.ndim == 2, x.shape
        x = np.ascontiguousarray(x) if by_columns else batch_innermost(x)
        M = x.size // C
        if train and M < 2:
            raise ValueError(f"{self.norm}: training needs more than one value a channel, got {shape}")
        if train:
            mean, var = np.empty((2, C), x.dtype)
        else:  # copies: backward uses the statistics of now
            mean, var = (
                contiguous(self.buffers[name], (C,), x.dtype).copy() for name in ("running_mean", "running_var")
            )
        y = np.empty_like(x)
        options = (C, M, by_columns, self.relu, train)
        arrays = map(address, (x, *self.weights(), mean, var, y))
        loops(SOURCE, SIGNATURES, x.dtype).forward(self.threads, *options, self.norm.eps, *arrays)
        if train:
            for name, value in (("running_mean", mean), ("running_var", var * (M / (M - 1)))):
                self.buffers[name] += self.norm.momentum * (value - self.buffers[name])
        return y if by_columns else y.transpose(-1, *range(y.ndim - 1)), (x, y, mean, var, options)

    def backward(self, dy, cache):
        x, y, mean, var, options = cache
        by_columns = dy.ndim == 2
        dy = contiguous(dy if by_columns else dy.transpose(*range(1, dy.ndim), 0), x.shape, x.dtype)
        dx, dweight, dbias = np.empty_like(x), np.empty_like(mean), np.empty_like(mean)
        arrays = map(address, (x, dy, y, self.weights()[0], mean, var, dx, dweight, dbias))
        loops(SOURCE, SIGNATURES, x.dtype).backward(self.threads, *options, self.norm.eps, *arrays)
        return dx if by_columns else dx.transpose(-1, *range(dx.ndim - 1)), {"weight": dweight, "bias": dbias}

    def weights(self):
        """weight and bias, contiguous."""
        return [contiguous(self.params[name], (self.norm.num_features,), self.dtype) for name in ("weight", "bias")]
