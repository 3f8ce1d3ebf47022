"""SynapseRNN by loops in C."""

from pathlib import Path

import numpy as np

from ...layers import SynapseRNN
from . import synapse_graph
from .arrays import contiguous, loops, scratch

SOURCE = Path(__file__).with_suffix(".c")
CHUNKS = 8  # of the batch, backward, each with its own sums


class FastSynapseRNN(SynapseRNN):
    """layers.SynapseRNN with the same parameters, numbers and gradients.

    Rows of a batch do not meet, so a thread takes some rows through all steps. That needs |β h| < 1: no factor is 0.
    Otherwise the layer runs step by step over the graph in C, which is total. In backward, dS S below 1e-30 of the
    largest dy counts as 0.
    """

    in_c = ((SOURCE,), (synapse_graph.SOURCE,))

    def __init__(self, layer, threads, input_gradient=True):
        self.__dict__ |= layer.__dict__ | {"threads": threads, "input_gradient": input_gradient}
        self.parts = {prefix: synapse_graph.with_fast_graph(part, threads) for prefix, part in layer.parts.items()}

    @np.errstate(under="ignore")
    def forward(self, x, train=False):
        self.check_sequences(x)
        N, T, H = *x.shape[:2], self.hidden_size
        steps = np.ascontiguousarray(x).reshape(N * T, x.shape[2])
        e, de_du = self.excitations(steps @ self.params["weight"].T + self.params["bias"])
        alpha, beta = self.current_parts()[""].coefficients()
        g = np.broadcast_to(np.asarray(self.leaking_rate()[0], x.dtype), H)
        weights = contiguous(alpha, (H,), x.dtype), contiguous(g, (H,), x.dtype), contiguous(beta, (H, H), x.dtype)
        h, R = np.empty((2, N, T, H), x.dtype)
        kernel, group = loops(x.dtype, SOURCE), synapse_graph.GROUP
        tile = kernel.constant("tile")
        tiles = scratch(-(-H // tile), H, tile, dtype="float64")
        tiles[...] = np.pad(beta, ((0, -H % tile), (0, 0))).reshape(-1, tile, H).swapaxes(1, 2)
        job = (N, T, H, e, *weights[:2], tiles, np.empty((self.threads, H, group)), h, R)
        kernel.run("forward", self.threads, -(-N // group), *job)
        if not synapse_graph.largest(h) * synapse_graph.largest(beta) <= 1 - 2.0**-20:
            y, cache = super().forward(x, train)
            return y, (None, cache)
        return h if self.return_sequences else h[:, -1], (steps, e, de_du, weights, h, R)

    @np.errstate(under="ignore")
    def backward(self, dy, cache):
        steps, *rest = cache
        if steps is None:
            return super().backward(dy, *rest)
        e, de_du, (alpha, g, beta), h, R = rest
        N, T, H = h.shape
        self.check_output_gradient(dy, N, T)
        dy, de = contiguous(self.of_all_steps(dy, T), h.shape, h.dtype), np.empty_like(h)
        kernel = loops(h.dtype, SOURCE)
        more = -H % max(kernel.lanes, synapse_graph.GROUP)  # behind the last unit, with β = 0
        H_up, tiny = H + more, synapse_graph.largest(dy) * 1e-30
        size = H_up + -(-N // CHUNKS) * 2 * (H_up + kernel.lanes)
        sums, memory = np.zeros((CHUNKS, H_up + 2, H_up), h.dtype), np.zeros((CHUNKS, size), h.dtype)
        arrays = (dy, e, alpha, g, h, R, np.pad(beta, (0, more)), sums, memory, de)
        kernel.run("backward", self.threads, CHUNKS, N, T, H, H_up, self.truncate or 0, CHUNKS, size, tiny, *arrays)
        total, W, du = sums.sum(axis=0)[:, :H], self.params["weight"], de.reshape(N * T, H) * de_du
        grads = {"weight": du.T @ steps, "bias": du.sum(axis=0)}
        grads |= self.current_parts()[""].gradients(total[-2], np.ascontiguousarray(total[:H]))
        if "leak_logit" in self.params:
            grads["leak_logit"] = total[-1] * self.leaking_rate()[1]
        dx = (du @ W).reshape(N, T, W.shape[1]) if self.input_gradient else None
        return dx, grads
