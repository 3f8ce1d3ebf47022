"""Batch normalisation and relu as one, with fewer passes over memory."""

import numpy as np

from ..layers.base import Layer


class BatchNormRelu(Layer):
    """y_nc = max(0, weight_c x̂_nc + bias_c) with the numbers of layers.BatchNorm and layers.ReLU, up to rounding.

    x (N, C) or (N, C, H, W). It holds the parameters and buffers of `norm`, and of the relu nothing.

    The formulas are those of BatchNorm, and only what is computed in between is saved: the sums over n are products
    with a vector of ones or of the squares in place, which make no temporary array; x̂ overwrites x − μ. Backward, with
    d_nc = dy_nc where y_nc > 0, else 0:

        dweight_c = Σ_n d_nc x̂_nc
        dbias_c   = Σ_n d_nc
        dx_nc     = weight_c s_c (d_nc − dbias_c / M − x̂_nc dweight_c / M)

    which is BatchNorm's dx, as weight_c may leave both means; with constant μ and σ² its last two terms are absent.
    Memory lies with the batch innermost, as in Conv2d.
    """

    mixes_rows = True

    def __init__(self, norm):
        super().__init__()
        self.norm, self.params, self.buffers = norm, norm.params, norm.buffers

    def forward(self, x, train=False):
        self.norm.check_shape(x)
        rows = channels_by_values(x)
        M = rows.shape[1]
        if M < 2 and train:
            raise ValueError(f"{self.norm}: training needs more than one value a channel, got {tuple(x.shape)}")
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        if train:
            mean = rows @ np.full(M, 1 / M, rows.dtype)
        x_hat = rows - mean[:, None]
        if train:
            var = np.einsum("cm,cm->c", x_hat, x_hat) / M
            for name, value in (("running_mean", mean), ("running_var", var * (M / (M - 1)))):
                self.buffers[name] += self.norm.momentum * (value - self.buffers[name])
        s = 1 / np.sqrt(var + self.norm.eps)
        x_hat *= s[:, None]
        y = x_hat * self.params["weight"][:, None]
        y += self.params["bias"][:, None]
        np.maximum(y, 0, out=y)
        return seen_as(y, x.shape), (x_hat, s, y, train)

    def backward(self, dy, cache):
        x_hat, s, y, train = cache
        M = x_hat.shape[1]
        d = channels_by_values(dy) * (y > 0)
        dweight, dbias = np.einsum("cm,cm->c", d, x_hat), d @ np.ones(M, d.dtype)
        if train:
            d -= (dbias / M)[:, None]
            d -= x_hat * (dweight / M)[:, None]
        d *= (self.params["weight"] * s)[:, None]
        return seen_as(d, dy.shape), {"weight": dweight, "bias": dbias}


def channels_by_values(x):
    """(N, C, ...) -> (C, ...N), a view where the batch is innermost in memory."""
    return np.ascontiguousarray(x.transpose(1, *range(2, x.ndim), 0)).reshape(x.shape[1], -1)


def seen_as(rows, shape):
    """(C, ...N) -> the view (N, C, ...) of this shape."""
    N, C, *pixels = shape
    return rows.reshape(C, *pixels, N).transpose(len(shape) - 1, 0, *range(1, len(shape) - 1))
