"""BatchNorm, with or without a relu after it, by loops in C."""

import ctypes
from pathlib import Path

import numpy as np

from ...layers import Layer
from .arrays import batch_innermost, call, contiguous, loops

SOURCE = Path(__file__).with_suffix(".c")
_number, _array, _real = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double
SIGNATURES = {
    "forward": [*[_number] * 6, _real, *[_array] * 6],
    "backward": [*[_number] * 7, _real, *[_array] * 9],
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

    in_c = ((SOURCE, SIGNATURES),)
    mixes_rows = True

    def __init__(self, norm, relu, threads):
        super().__init__(norm.dtype, norm.backend, **norm.config)
        self.norm, self.relu, self.threads = norm, relu, threads
        self.params, self.buffers, self.momentum = norm.params, norm.buffers, norm.momentum

    def forward(self, x, train=False):
        self.norm.check_shape(x)
        M = x.size // self.norm.num_features
        if train and M < 2:
            raise ValueError(f"{self.norm}: training needs more than one value per channel, got {x.shape}")
        x = laid_out(x)
        if train:
            mean, var = np.empty((2, self.norm.num_features), x.dtype)
        else:  # copies: backward uses the statistics of now
            mean, var = (
                contiguous(self.buffers[name], (self.norm.num_features,), x.dtype).copy()
                for name in ("running_mean", "running_var")
            )
        y = np.empty_like(x)
        self._forward(train, x, mean, var, y)
        if train:
            for name, value in (("running_mean", mean), ("running_var", var * (M / (M - 1)))):
                self.buffers[name] += self.momentum * (value - self.buffers[name])
        return batch_first(y), (x, y, mean, var, train)

    def backward(self, dy, cache):
        x, _, mean, _, train = cache
        dx, dweight, dbias = np.empty_like(x), np.empty_like(mean), np.empty_like(mean)
        self._backward(train, 0, dy, cache, dx, dweight, dbias)
        return batch_first(dx), {"weight": dweight, "bias": dbias}

    # What distributed.SyncedBatchNorm does with a part of a batch.

    def moments(self, x):
        """Mean and variance (C,) of x alone."""
        self.norm.check_shape(x)
        mean, var = np.empty((2, self.norm.num_features), x.dtype)
        self._forward(True, laid_out(x), mean, var, None)
        return mean, var

    def normalised(self, x, mean, var):
        """y of x, where mean and var are those of the whole batch; and the cache for sums and input_gradient."""
        x = laid_out(x)
        y = np.empty_like(x)
        self._forward(False, x, mean, var, y)
        return batch_first(y), (x, y, mean, var, True)

    def sums(self, dy, cache):
        """dweight, dbias (C,): the share of x in those of the whole batch."""
        dweight, dbias = np.empty_like(cache[2]), np.empty_like(cache[2])
        self._backward(True, 0, dy, cache, None, dweight, dbias)
        return dweight, dbias

    def input_gradient(self, dy, cache, dweight, dbias, M):
        """dx, where dweight, dbias and M, the number of values a channel, are those of the whole batch."""
        dx = np.empty_like(cache[0])
        self._backward(True, M, dy, cache, dx, np.ascontiguousarray(dweight), np.ascontiguousarray(dbias))
        return batch_first(dx)

    def _forward(self, train, x, mean, var, y):
        C = self.norm.num_features
        options = (C, x.size // C, x.ndim == 2, self.relu, train, self.norm.eps)
        call(loops(SOURCE, SIGNATURES, x.dtype).forward, self.threads, *options, x, *self.weights(), mean, var, y)

    def _backward(self, train, M_of_all, dy, cache, dx, dweight, dbias):
        x, y, mean, var, _ = cache
        C = self.norm.num_features
        dy = contiguous(dy if dy.ndim == 2 else dy.transpose(*range(1, dy.ndim), 0), x.shape, x.dtype)
        options = (C, x.size // C, x.ndim == 2, self.relu, train, M_of_all, self.norm.eps)
        arrays = (x, dy, y, self.weights()[0], mean, var, dx, dweight, dbias)
        call(loops(SOURCE, SIGNATURES, x.dtype).backward, self.threads, *options, *arrays)

    def weights(self):
        """weight and bias, contiguous."""
        return [contiguous(self.params[name], (self.norm.num_features,), self.dtype) for name in ("weight", "bias")]


def laid_out(x):
    """x (N, C) or (N, C, ...) as the loops take it: (N, C) or (C, ..., N), contiguous."""
    return np.ascontiguousarray(x) if x.ndim == 2 else batch_innermost(x)


def batch_first(y):
    """Back from there."""
    return y if y.ndim == 2 else y.transpose(-1, *range(y.ndim - 1))
