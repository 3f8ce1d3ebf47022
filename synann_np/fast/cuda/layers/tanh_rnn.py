"""The plain recurrent layer: all steps of a row in one kernel, forward and backward."""

import numpy as np

from ....layers import RNN
from .launches import arrays_of

UNITS = 256  # a larger weight outgrows the cache of a multiprocessor: then a product a step, of all rows, is better


class CudaRNN(RNN):
    """layers.RNN of at most UNITS units, the same parameters.

    Arguments: layer: RNN. launcher: Launcher of its dtype.
    """

    def __init__(self, layer, launcher):
        self.__dict__ |= layer.__dict__
        self.launcher = launcher

    @staticmethod
    def fits(layer):
        """Whether an RNN has so few units that the kernels take it."""
        return layer.hidden_size <= UNITS

    def forward(self, x, train=False):
        x = self.steps_of(x)
        T, N, _ = x.shape
        if N == 0:
            return super().forward(x.swapaxes(0, 1), train)
        W, R, b, c = self.params.values()
        D = T if self.return_sequences else 1
        sizes = {"T": T, "N": N, "I": self.hidden_size, "D": D, "cut": self.truncate or 0}
        given = {"driven": self.product_of_steps(x, W.T) + (b + c), "weight": R}
        arrays = arrays_of(self, "tanh_rnn", ["tanh_rnn_forward"], sizes, given)
        return self.output(arrays["h"]), (x, sizes, arrays)

    @np.errstate(under="ignore")
    def backward(self, dy, cache):
        if len(cache) == 2:
            return super().backward(dy, cache)
        x, sizes, arrays = cache
        T, N, D, H = (sizes[name] for name in "TNDI")
        self.check_output_gradient(dy, N, T)
        given = {name: arrays[name] for name in ("weight", "h")}
        given["dy"] = self.backend.xp.ascontiguousarray(dy).reshape(N, D, H)
        found = arrays_of(self, "tanh_rnn", ["tanh_rnn_backward"], sizes, given)
        return self.gradients(found["da"], x, found["before"])
