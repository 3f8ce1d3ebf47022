"""RNN by loops in C."""

import ctypes
from pathlib import Path

import numpy as np

from ...layers import RNN
from .arrays import call, contiguous, loops

SOURCE = Path(__file__).with_suffix(".c")

_number, _array = ctypes.c_int64, ctypes.c_void_p
SIGNATURES = {"forward": [*[_number] * 4, *[_array] * 4], "backward": [*[_number] * 5, *[_array] * 4]}


class FastRNN(RNN):
    """layers.RNN with the same parameters, numbers and gradients. A thread takes some rows through all steps."""

    in_c = ((SOURCE, SIGNATURES),)

    def __init__(self, layer, threads):
        self.__dict__ |= layer.__dict__
        self.threads = threads

    def forward(self, x, train=False):
        self.check_sequences(x)
        N, T, H = *x.shape[:2], self.hidden_size
        W, R, b, c = self.params.values()
        steps = np.ascontiguousarray(x).reshape(N * T, x.shape[2])
        driven, matrix = steps @ W.T + (b + c), contiguous(R.T, (H, H), x.dtype)
        h, before = np.empty((2, N, T, H), x.dtype)
        call(loops(SOURCE, SIGNATURES, x.dtype).forward, self.threads, N, T, H, driven, matrix, h, before)
        return h if self.return_sequences else h[:, -1], (steps, h, before)

    @np.errstate(under="ignore")
    def backward(self, dy, cache):
        steps, h, before = cache
        N, T, H = h.shape
        self.check_output_gradient(dy, N, T)
        W, R, _, _ = self.params.values()
        dy, da = self.of_all_steps(dy, T), np.empty_like(h)
        arrays = contiguous(dy, h.shape, h.dtype), contiguous(R, (H, H), h.dtype), h, da
        call(loops(SOURCE, SIGNATURES, h.dtype).backward, self.threads, N, T, H, self.truncate or 0, *arrays)
        da = da.reshape(N * T, H)
        db = da.sum(axis=0)
        grads = {"weight_ih_l0": da.T @ steps, "weight_hh_l0": da.T @ before.reshape(N * T, H)}
        grads |= {"bias_ih_l0": db, "bias_hh_l0": db.copy()}
        return (da @ W).reshape(N, T, steps.shape[1]), grads
