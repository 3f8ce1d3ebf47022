"""BatchNorm, with or without a relu after it, by loops in C."""

from pathlib import Path

import numpy as np

from ...layers import Layer
from .arrays import batch_innermost, contiguous, loops

SOURCE = Path(__file__).with_suffix(".c")
LINE = 32  # columns of a part
FEW_VALUES = 2**18  # sooner done than handed from one core's cache to another's


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

    in_c = ((SOURCE,),)
    mixes_rows = True

    def __init__(self, norm, relu, threads):
        super().__init__(norm.dtype, norm.backend, **norm.config)
        self.norm, self.relu, self.threads = norm, relu, threads
        self.params, self.buffers, self.momentum = norm.params, norm.buffers, norm.momentum

    def forward(self, x, train=False):
        M = x.size // self.norm.num_features
        if train and M < 2:
            self.norm.check_shape(x)
            raise ValueError(f"{self.norm}: training needs more than one value per channel, got {x.shape}")
        if not train:  # copies: backward uses the statistics of now
            y, cache = self.normalised(x, *(self.buffers[name].copy() for name in ("running_mean", "running_var")))
            return y, (*cache[:-1], False)
        *moments, y, x = self._forward(x)
        for name, value in (("running_mean", moments[0]), ("running_var", moments[1] * (M / (M - 1)))):
            self.buffers[name] += self.momentum * (value - self.buffers[name])
        return batch_first(y), (x, y, *moments, True)

    def backward(self, dy, cache):
        dweight, dbias = np.empty_like(cache[2]), np.empty_like(cache[2])
        return self._backward(dy, cache, dweight, dbias, 0, True), {"weight": dweight, "bias": dbias}

    # What distributed.SyncedBatchNorm does with a part of a batch.

    def moments(self, x):
        """Mean and variance (C,) of x alone."""
        return self._forward(x, wants_y=False)[:2]

    def normalised(self, x, mean, var):
        """y of x, where mean and var are those of the whole batch; and the cache for sums and input_gradient."""
        mean, var, y, x = self._forward(x, mean, var)
        return batch_first(y), (x, y, mean, var, True)

    def sums(self, dy, cache):
        """dweight, dbias (C,): the share of x in those of the whole batch."""
        dweight, dbias = np.empty_like(cache[2]), np.empty_like(cache[2])
        self._backward(dy, cache, dweight, dbias, 0, False)
        return dweight, dbias

    def input_gradient(self, dy, cache, dweight, dbias, M):
        """dx, where dweight, dbias and M, the number of values a channel, are those of the whole batch."""
        return self._backward(dy, cache, np.ascontiguousarray(dweight), np.ascontiguousarray(dbias), M, True)

    def _forward(self, x, *given, wants_y=True):
        """mean, var (C,), those of x unless given; y or None; x laid out."""
        self.norm.check_shape(x)
        x, C = laid_out(x), self.norm.num_features
        mean, var = (contiguous(a, (C,), x.dtype) for a in given) if given else np.empty((2, C), x.dtype)
        y = np.empty_like(x) if wants_y else None
        self._run("forward", x, (not given, 0), None, None, mean, var, y, None, None)
        return mean, var, y, x

    def _backward(self, dy, cache, dweight, dbias, M_of_all, wants_dx):
        x, y, mean, var, of_batch = cache
        dy = contiguous(dy if dy.ndim == 2 else dy.transpose(*range(1, dy.ndim), 0), x.shape, x.dtype)
        dx = np.empty_like(x) if wants_dx else None
        self._run("backward", x, (of_batch, M_of_all), dy, y, mean, var, dx, dweight, dbias)
        return batch_first(dx) if wants_dx else None

    def _run(self, kernel, x, sums, dy, y, *results):
        C, by_columns = self.norm.num_features, x.ndim == 2
        weight, bias = (contiguous(self.params[name], (C,), self.dtype) for name in ("weight", "bias"))
        sizes = (C, x.size // C, by_columns, self.relu, *sums, float(self.norm.eps))
        threads, parts = 1 if x.size < FEW_VALUES else self.threads, -(-C // LINE) if by_columns else C
        loops(x.dtype, SOURCE).run(kernel, threads, parts, *sizes, x, dy, y, weight, bias, *results)


def laid_out(x):
    """x (N, C) or (N, C, ...) as the loops take it: (N, C) or (C, ..., N), contiguous."""
    return np.ascontiguousarray(x) if x.ndim == 2 else batch_innermost(x)


def batch_first(y):
    """Back from there."""
    return y if y.ndim == 2 else y.transpose(-1, *range(y.ndim - 1))
