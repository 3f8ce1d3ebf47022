"""The kernels of layers as the plain layers compute them: a part of PlainLauncher."""

import numpy as np

from synann_np.counter_random import mix32
from synann_np.fast.cuda.captured.loss import NO_LABEL
from synann_np.layers import BatchNorm1d, LogSoftmax, MaxPool2d, Softmax
from synann_np.layers.synapse import synapse_graph_backward, synapse_graph_forward
from synann_np.losses import cross_entropy


class PlainLayerKernels:
    def columns_to_pixels(self, a):
        C, KH, KW, OH, OW, N = a["dcols"].shape
        H, W, SH, SW, DH, DW, top, left = (int(a[name]) for name in ["H", "W", "SH", "SW", "DH", "DW", "top", "left"])
        height, width = max(H + top, DH * (KH - 1) + SH * OH), max(W + left, DW * (KW - 1) + SW * OW)
        dx = np.zeros((C, height, width, N), self.dtype)
        for i in range(KH):
            for j in range(KW):
                dx[:, DH * i : DH * i + SH * OH : SH, DW * j : DW * j + SW * OW : SW] += a["dcols"][:, i, j]
        a["dx"][...] = dx[:, top : top + H, left : left + W]

    def pool_forward(self, a):
        y, (winner, *_) = MaxPool2d((int(a["KH"]), int(a["KW"]))).forward(a["x"].transpose(3, 0, 1, 2))
        a["y"][...], a["winner"][...] = y.transpose(1, 2, 3, 0), winner.transpose(1, 2, 3, 0)

    def pool_backward(self, a):
        KH, KW, OH, OW = (int(a[name]) for name in ("KH", "KW", "OH", "OW"))
        a["dx"][...] = 0
        for k in range(KH * KW):
            a["dx"][:, k // KW : KH * OH : KH, k % KW : KW * OW : KW] += a["dy"] * (a["winner"] == k)

    def norm(self, a):
        """The layer, and a function of an array of all elements -> as the layer takes it."""
        C, M = int(a["C"]), int(a["M"])
        layer = BatchNorm1d(C, dtype=self.dtype)
        layer.params = {"weight": a["weight"], "bias": a.get("bias")}
        shape = (M, C) if a["stride_m"] == C and a["stride_c"] == 1 else (1, C, M)
        return layer, lambda flat: flat.reshape(shape)

    def batch_norm_forward(self, a):
        layer, shaped = self.norm(a)
        layer.eps, layer.momentum = float(a["eps"]), float(a["momentum"])
        layer.buffers = {name: a[name] for name in ("running_mean", "running_var")}
        y, (x_hat, s, _) = layer.forward(shaped(a["x"]), train=True)
        a["x_hat"][...], a["s"][...] = x_hat.reshape(-1), s.reshape(-1)
        a["y"][...] = (np.maximum(y, 0) if a["relu"] else y).reshape(-1)

    def batch_norm_backward(self, a):
        layer, shaped = self.norm(a)
        dy = shaped(a["dy"] * (a["y"] > 0) if a["relu"] else a["dy"])
        s = a["s"].reshape(-1, *[1] * (dy.ndim - 2))
        dx, grads = layer.backward(dy, (shaped(a["x_hat"]), s, True))
        a["dx"][...], a["dweight"][...], a["dbias"][...] = dx.reshape(-1), grads["weight"], grads["bias"]

    def rnn_forward(self, a):
        h = np.zeros_like(a["h"][0])
        for t in range(len(a["e"])):
            S, (*_, R, _, _, zeros, _, _) = synapse_graph_forward(a["e"][t], h, a["alpha"], a["beta"])
            a["h"][t] = h = (1 - a["g"]) * h + a["g"] * S
            a["product"][t], a["zeros"][t] = R, np.minimum(zeros, 2)

    def rnn_backward(self, a):
        sent_back, T = 0, len(a["e"])
        for t in reversed(range(T)):
            before = a["h"][t - 1] if t else np.zeros_like(a["h"][0])
            S, cache = synapse_graph_forward(a["e"][t], before, a["alpha"], a["beta"])
            dh = self.output_gradient(a, t) + sent_back
            dS = dh * a["g"]
            a["de"][t], dv, _, _ = synapse_graph_backward(dS, cache)
            gradient = dS * a["alpha"] * a["e"][t] * cache[3]
            a["t"][t], a["t_zero"][t] = (np.where(cache[6] == zeros, gradient, 0) for zeros in (0, 1))
            a["v"][t], a["dalpha"][t], a["dg"][t] = before, dS * a["e"][t] * cache[2], dh * (S - before)
            sent_back = 0 if self.is_cut(a, t) else dh * (1 - a["g"]) + dv

    def output_gradient(self, a, t):
        """dy_t: of the last D steps."""
        step = t - (int(a["T"]) - int(a["D"]))
        return a["dy"][:, step] if step >= 0 else np.zeros_like(a["dy"][:, 0])

    def is_cut(self, a, t):
        return t == 0 or (a["cut"] and (a["T"] - t) % a["cut"] == 0)

    def tanh_rnn_forward(self, a):
        h = np.zeros_like(a["h"][0])
        for t in range(len(a["h"])):
            a["h"][t] = h = np.tanh(a["driven"][t] + h @ a["weight"].T)

    def tanh_rnn_backward(self, a):
        sent_back, h, da = 0, a["h"], a["da"]
        a["before"][0], a["before"][1:] = 0, h[:-1]
        for t in reversed(range(len(h))):
            da[t] = (self.output_gradient(a, t) + sent_back) * (1 - h[t] * h[t])
            sent_back = 0 if self.is_cut(a, t) else da[t] @ a["weight"]

    def synapse_backward_beta(self, a):
        q = 1 - a["beta"] * a["v"][:, None, :]
        c = np.where(q == 0, a["t_zero"][:, :, None], a["t"][:, :, None] / np.where(q == 0, 1, q))
        a["dbeta"][...] = -(c * a["v"][:, None, :]).sum(axis=0)

    def dropout_mask(self, a):
        bits = mix32(mix32(np.arange(a["E"], dtype="uint32") ^ a["low"]) ^ a["high"])
        a["mask"][...] = np.where(bits >= a["threshold"][0], a["scale"], 0)

    def softmax_forward(self, a):
        a["y"][...] = (LogSoftmax() if a["is_log"] else Softmax()).forward(a["x"])[0]

    def softmax_backward(self, a):
        a["dx"][...] = (LogSoftmax() if a["is_log"] else Softmax()).backward(a["dy"], a["y"])[0]

    def cross_entropy(self, a):
        a["row_losses"][...] = a["dlogits"][...] = np.nan
        if np.isnan(a["logits"]).any():  # the plain loss would raise an error
            return
        options = {name: a[name] for name in ("class_weights", "sample_weights") if len(a[name])}
        if a["ignored"][0] != NO_LABEL:
            options["ignore_index"] = a["ignored"][0]
        loss, a["dlogits"][...] = cross_entropy(a["logits"], a["labels"], float(a["smoothing"]), **options)
        a["row_losses"][...] = 0
        a["row_losses"][0] = loss

    def sum_of_losses(self, a):
        a["loss"][0] = a["row_losses"].sum()
