"""Softmax and log-softmax of rows, one kernel forward and one backward."""

from ....layers import LogSoftmax
from .launches import arrays_of


class CudaSoftmax:
    """layers.Softmax or LogSoftmax along the last axis.

    Arguments: layer: the layer, with axis −1. launcher: Launcher. backend: of the arrays.
    """

    draws_masks = mixes_rows = False

    def __init__(self, layer, launcher, backend):
        self.layer, self.launcher, self.backend = layer, launcher, backend
        self.params, self.buffers = layer.params, layer.buffers
        self.is_log = type(layer) is LogSoftmax

    def __repr__(self):
        return f"CUDA {self.layer!r}"

    def forward(self, x, train=False):
        self.layer.check_axis(x)
        if x.dtype != self.launcher.dtype or not x.size:
            return self.layer.forward(x, train)
        y = self.launch("softmax_forward", "y", x=x)
        return y, y

    def backward(self, dy, cache):
        y = cache
        if y.dtype != self.launcher.dtype or not y.size:
            return self.layer.backward(dy, y)
        self.layer.check_gradient(dy, y.shape, y.dtype)
        return self.launch("softmax_backward", "dx", dy=dy, y=y), {}

    def launch(self, kernel, wanted, **given):
        """Run a kernel over arrays of one shape. Returns: the array `wanted`, in that shape."""
        shape = next(iter(given.values())).shape
        rows = {name: self.backend.xp.ascontiguousarray(a).reshape(-1, shape[-1]) for name, a in given.items()}
        N, K = next(iter(rows.values())).shape
        sizes = {"N": N, "K": K, "is_log": int(self.is_log)}
        return arrays_of(self, "softmax", [kernel], sizes, rows)[wanted].reshape(shape)
