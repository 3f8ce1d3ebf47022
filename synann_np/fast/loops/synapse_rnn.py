"""SynapseRNN by loops in C."""

import ctypes
from pathlib import Path

import numpy as np

from ...layers import SynapseRNN
from ...layers.logistic import logistic
from .arrays import call, contiguous, loops
from .synapse_graph import GRAPH, with_fast_graph

SOURCE = Path(__file__).with_suffix(".c")

_number, _array = ctypes.c_int64, ctypes.c_void_p
SIGNATURES = {"forward": [*[_number] * 4, *[_array] * 6], "backward": [*[_number] * 5, *[_array] * 11]}


class FastSynapseRNN(SynapseRNN):
    """layers.SynapseRNN with the same parameters, numbers and gradients.

    Rows of a batch do not meet, so a thread takes some rows through all steps. That needs |β h| < 1: no factor is 0.
    Otherwise the layer runs step by step over the graph in C, which is total. In backward, dS S below 1e-30 of the
    largest dy counts as 0.
    """

    in_c = ((SOURCE, SIGNATURES), GRAPH)

    def __init__(self, layer, threads):
        self.__dict__ |= layer.__dict__
        self.threads = threads
        self.parts = {prefix: with_fast_graph(part, threads) for prefix, part in layer.parts.items()}

    @np.errstate(under="ignore")
    def forward(self, x, train=False):
        self.check_sequences(x)
        N, T, H = *x.shape[:2], self.hidden_size
        steps = np.ascontiguousarray(x).reshape(N * T, x.shape[2])
        e, de_du = logistic(steps @ self.params["weight"].T + self.params["bias"])
        alpha, beta = self.current_parts()[""].coefficients()
        g = np.broadcast_to(np.asarray(self.leaking_rate()[0], x.dtype), H)
        weights = contiguous(alpha, (H,), x.dtype), contiguous(g, (H,), x.dtype), contiguous(beta, (H, H), x.dtype)
        h, R = np.empty((2, N, T, H), x.dtype)
        if call(loops(SOURCE, SIGNATURES, x.dtype).forward, self.threads, N, T, H, e, *weights, h, R) < 0:
            y, cache = super().forward(x, train)
            return y, (None, cache)
        return h if self.return_sequences else h[:, -1], (steps, e, de_du, weights, h, R)

    @np.errstate(under="ignore")
    def backward(self, dy, cache):
        steps, *rest = cache
        if steps is None:
            return super().backward(dy, *rest)
        e, de_du, weights, h, R = rest
        N, T, H = h.shape
        self.check_output_gradient(dy, N, T)
        dy, de = contiguous(self.of_all_steps(dy, T), h.shape, h.dtype), np.empty_like(h)
        results = dalpha, dg, dbeta = [np.empty_like(a) for a in weights]
        sizes, arrays = (self.threads, N, T, H, self.truncate or 0), (dy, e, *weights, h, R, de, *results)
        call(loops(SOURCE, SIGNATURES, h.dtype).backward, *sizes, *arrays)
        du = de.reshape(N * T, H) * de_du
        grads = {"weight": du.T @ steps, "bias": du.sum(axis=0)}
        grads |= self.current_parts()[""].gradients(dalpha, dbeta)
        if "leak_logit" in self.params:
            grads["leak_logit"] = dg * self.leaking_rate()[1]
        return (du @ self.params["weight"]).reshape(N, T, steps.shape[1]), grads
