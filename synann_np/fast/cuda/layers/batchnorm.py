"""Batch-norm in training, with the relu after it, as one kernel forward and one backward."""

import math

from ....layers import BatchNorm1d, BatchNorm2d
from .launches import arrays_of, batch_innermost


class CudaBatchNorm:
    """layers.BatchNorm1d of rows or BatchNorm2d, the same arrays; with relu=True followed by layers.ReLU.

    In evaluation the plain layer computes.

    Arguments: layer: BatchNorm. relu: bool. launcher: Launcher of its dtype.
    """

    draws_masks, mixes_rows = False, True

    def __init__(self, layer, relu, launcher):
        self.layer, self.relu, self.launcher, self.backend = layer, relu, launcher, layer.backend
        self.params, self.buffers = layer.params, layer.buffers

    def __repr__(self):
        return f"CUDA {self.layer!r}{' + ReLU()' * self.relu}"

    def forward(self, x, train=False):
        self.layer.check_shape(x)
        M = math.prod(x.shape) // max(self.layer.num_features, 1)
        if not train or M < 2 or x.ndim == 3:
            y, cache = self.layer.forward(x, train)
            if self.relu:
                y = self.backend.xp.maximum(y, 0)
            return y, (None, cache, y)
        sizes = self.sizes(x, M)
        given = {"x": self.flat(x)} | self.params | self.buffers
        arrays = arrays_of(self, "norm", ["batch_norm_forward"], sizes, given)
        return self.like(arrays["y"], x.shape), (x.shape, sizes, arrays)

    def backward(self, dy, cache):
        shape, sizes, arrays = cache
        if shape is None:
            return self.layer.backward(dy * (arrays > 0) if self.relu else dy, sizes)
        self.layer.check_gradient(dy, shape)
        given = {"dy": self.flat(dy), "weight": self.params["weight"]} | {n: arrays[n] for n in ("x_hat", "s", "y")}
        arrays = arrays_of(self, "norm", ["batch_norm_backward"], sizes, given)
        return self.like(arrays["dx"], shape), {"weight": arrays["dweight"], "bias": arrays["dbias"]}

    def sizes(self, x, M):
        """Sizes and numbers of the kernels. The batch is innermost in images, the channel in rows."""
        C = self.layer.num_features
        strides = {"stride_c": 1, "stride_m": C} if x.ndim == 2 else {"stride_c": M, "stride_m": 1}
        numbers = {"eps": self.layer.eps, "momentum": self.layer.momentum, "unbiased": M / (M - 1)}
        return {"C": C, "M": M, "CM": C * M, "relu": int(self.relu)} | strides | numbers

    def flat(self, x):
        """x as the kernels read it, without a copy if it lies so already."""
        x = self.backend.xp.ascontiguousarray(x) if x.ndim == 2 else batch_innermost(x)
        return x.reshape(-1)

    def like(self, flat, shape):
        """A flat array in the shape of x."""
        return flat.reshape(shape) if len(shape) == 2 else flat.reshape(*shape[1:], shape[0]).transpose(3, 0, 1, 2)


NORMS = (BatchNorm1d, BatchNorm2d)
