"""The recurrent synapse layer: all steps of a row in one kernel, forward and backward."""

import numpy as np

from ....layers import SynapseRNN
from .launches import arrays_of

UNITS = 1024  # RNN_UNITS of recurrent.cu


class CudaSynapseRNN(SynapseRNN):
    """layers.SynapseRNN of at most UNITS units, the same parameters. No array holds the N H² factors of a step.

    Arguments: layer: SynapseRNN. launcher: Launcher of its dtype.
    """

    def __init__(self, layer, launcher):
        self.__dict__ |= layer.__dict__
        self.launcher = launcher

    @staticmethod
    def fits(layer):
        """Whether a SynapseRNN has so few units that the kernels take it."""
        return layer.hidden_size <= UNITS

    @np.errstate(under="ignore")
    def forward(self, x, train=False):
        x = self.steps_of(x)
        xp, (T, N, _) = self.backend.xp, x.shape
        if N == 0:
            return super().forward(x.swapaxes(0, 1), train)
        u = self.product_of_steps(x, self.params["weight"].T) + self.params["bias"]
        e, de_du = self.excitations(u)
        alpha, beta = (xp.ascontiguousarray(a) for a in self.current_parts()[""].coefficients())
        g = self.leaking_rate()[0]
        g = xp.ones(self.hidden_size, x.dtype) if "leak_logit" not in self.params else g
        D = T if self.return_sequences else 1
        sizes = {"T": T, "N": N, "I": self.hidden_size, "D": D, "cut": self.truncate or 0}
        given = {"e": e, "alpha": alpha, "g": g, "beta": beta}
        arrays = arrays_of(self, "rnn", ["rnn_forward"], sizes, given)
        return self.output(arrays["h"]), (x, de_du, sizes, arrays)

    @np.errstate(under="ignore")
    def backward(self, dy, cache):
        if len(cache) == 3:
            return super().backward(dy, cache)
        x, de_du, sizes, arrays = cache
        T, N, H = (sizes[name] for name in "TNI")
        self.check_output_gradient(dy, N, T)
        dy = self.backend.xp.ascontiguousarray(dy).reshape(N, sizes["D"], H)
        found = arrays_of(self, "rnn", ["rnn_backward"], sizes, arrays | {"dy": dy})
        rows = {"N": T * N, "I": H, "J": H}
        given = {name: found[name].reshape(T * N, H) for name in ("v", "t", "t_zero")} | {"beta": arrays["beta"]}
        dbeta = arrays_of(self, "synapse", ["synapse_backward_beta"], rows, given)["dbeta"]
        du = found["de"] * de_du
        grads = {"weight": self.sum_of_steps(du, x), "bias": du.sum(axis=(0, 1))}
        grads |= self.current_parts()[""].gradients(found["dalpha"].sum(axis=(0, 1)), dbeta)
        if "leak_logit" in self.params:
            grads["leak_logit"] = found["dg"].sum(axis=(0, 1)) * self.leaking_rate()[1]
        return self.product_of_steps(du, self.params["weight"]).swapaxes(0, 1), grads
