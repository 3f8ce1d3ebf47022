"""The last layers of a classifier as one: batch-norm, linear, log-softmax."""

import numpy as np

from ..layers import BatchNorm1d, Linear, LogSoftmax
from ..sequential import Sequential


class Head(Sequential):
    """BatchNorm1d → Linear → LogSoftmax of x (N, C), in training with as few calls of NumPy as it takes.

    On a batch of some hundred rows nearly all the time of these layers is the time of the calls, not of the arithmetic.
    The formulas are those of the layers; in the backward pass of batch-norm, dweight and dbias are the sums that dx
    needs: as dx̂ = weight dy,

        dx_nc = s_c weight_c (dy_nc − (1/N) dbias_c − x̂_nc (1/N) dweight_c)

    Sums over the batch are products with ones. Evaluation runs the layers.
    """

    def forward(self, x, train=False, step=0):
        norm, linear, _ = self.layers.values()
        if not train or len(x) < 2 or x.ndim != 2:
            return super().forward(x, train, step)
        norm.check_shape(x)
        N = len(x)
        mean_over_n = np.full(N, 1 / N, x.dtype)
        mean = mean_over_n @ x
        x_hat = x - mean
        var = mean_over_n @ (x_hat * x_hat)
        for name, value in (("running_mean", mean), ("running_var", var * (N / (N - 1)))):
            running = norm.buffers[name]
            running += norm.momentum * (value - running)
        s = 1 / np.sqrt(var + norm.eps)
        x_hat *= s
        y = x_hat * norm.params["weight"]
        y += norm.params["bias"]
        z = y @ linear.params["weight"].T
        z += linear.params["bias"]
        z -= np.maximum.reduce(z, axis=1, keepdims=True)
        z -= np.log(np.add.reduce(np.exp(z), axis=1, keepdims=True))
        return z, _Cache(x_hat, s, y, z)

    def backward(self, dy, caches):
        if not isinstance(caches, _Cache):
            return super().backward(dy, caches)
        (norm_name, norm), (linear_name, linear), _ = self.layers.items()
        x_hat, s, y, log_probs = caches.arrays
        N, weight = len(dy), norm.params["weight"]
        dz = np.exp(log_probs)
        dz *= np.add.reduce(dy, axis=1, keepdims=True)
        np.subtract(dy, dz, out=dz)
        ones = np.ones(N, dz.dtype)
        dy = dz @ linear.params["weight"]
        dbias, dweight = ones @ dy, ones @ (dy * x_hat)
        grads = {
            f"{norm_name}.weight": dweight,
            f"{norm_name}.bias": dbias,
            f"{linear_name}.weight": dz.T @ y,
            f"{linear_name}.bias": ones @ dz,
        }
        dx = x_hat * (dweight / -N)
        dx += dy
        dx -= dbias / N
        dx *= weight * s
        return dx, grads


def as_head(model):
    """A Sequential, as a Head if its layers are one."""
    layers = list(model.layers.values())
    if [type(layer) for layer in layers] != [BatchNorm1d, Linear, LogSoftmax] or "bias" not in layers[1].params:
        return model
    return Head(list(model.layers.items()), model.dtype, model.backend)


class _Cache:
    def __init__(self, *arrays):
        self.arrays = arrays
