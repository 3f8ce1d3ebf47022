"""Convolution, 2×2 pooling and relu as one block, around one matrix product."""

import numpy as np

from .overlap_add import Spares


class ConvPoolRelu:
    """relu(maxpool(m · conv(x))) with the numbers and gradients of the plain layers, up to rounding, in one pass.

    For Conv2d of an odd kernel (KH, KW), stride 1, no padding; optional channel mask m ≥ 0 (Dropout2d); MaxPool2d(2);
    ReLU.

    The four outputs that one pooling window looks at read one patch of (KH+1) by (KW+1) pixels. So, with `patches` at
    stride 2 instead of 1,

        z_abf,hwn = Σ_icj E_icj,abf patches_icj,hwn        a, b = 0, 1

    gives them as four planes, where E_·,abf is weight_f shifted by (a, b) in a frame of zeros. The patches are 2.8
    times smaller than those of a plain 5×5 convolution, and pooling is a maximum over four contiguous arrays. bias and
    m are the same for the four and m ≥ 0, so they may wait until after the maximum:

        y_fhwn = max(0, m_nf (max_ab z_abf,hwn + bias_f))

    Backward: the first plane in row-major order that attains the maximum has won; it gets all of the gradient where
    y > 0. `won` holds that as booleans, dz = won · m dy, and from there on everything is as in Conv2d:

        dE = patches dzᵀ, of which dweight_f is the sum over the four shifts;  dbias_f = Σ dz;  dpatches = E dz

    E has the patch as its rows because BLAS is fastest that way round in all three products.

    Arrays are seen as (N, C, H, W) and lie in memory with the batch innermost, as those of Conv2d.
    """

    def __init__(self, conv, input_gradient=True):
        self.conv = conv
        self.input_gradient = input_gradient
        self.spares = Spares()

    def forward(self, x, mask=None, keep=True):
        """x (N, C, H, W), mask (N, F, 1, 1) or None -> y (N, F, H', W'), cache.

        keep=False, if backward is not expected: who won is not noted, and backward would have to repeat forward.
        """
        E = self.shifted_kernels()
        patches, shape = self.patches(x.transpose(1, 2, 3, 0))
        F = len(self.conv.params["weight"])
        z = (E.T @ patches).reshape(2, 2, F, -1)  # (a, b, F, H'W'N)

        left_won = z[:, 0] >= z[:, 1] if keep else None
        rows = np.maximum(z[:, 0], z[:, 1], out=z[:, 0])
        top_won = rows[0] >= rows[1] if keep else None
        y = np.maximum(rows[0], rows[1])
        if "bias" in self.conv.params:
            y += self.conv.params["bias"][:, None]
        y = y.reshape(F, *shape, len(x))
        m = None if mask is None else mask.reshape(len(x), F).T[:, None, None, :]
        if mask is not None:
            y *= m
        np.maximum(y, np.zeros(y.shape[1:], y.dtype), out=y)  # of two arrays: faster than of an array and a number
        if not keep:
            return y.transpose(3, 0, 1, 2), (x, mask)

        won = np.empty(z.shape, bool)
        won[1, 1] = y.reshape(F, -1) > 0
        np.logical_and(won[1, 1], top_won, out=won[0, 1])
        won[1, 1] ^= won[0, 1]
        np.logical_and(won[:, 1], left_won, out=won[:, 0])
        won[:, 1] ^= won[:, 0]
        return y.transpose(3, 0, 1, 2), (E, patches, won, m, x.shape)

    def backward(self, dy, cache):
        """dy (N, F, H', W') -> dx (None without input_gradient), {"weight", "bias"}."""
        if len(cache) == 2:
            _, cache = self.forward(*cache)
        E, patches, won, m, x_shape = cache
        weight = self.conv.params["weight"]
        F, C, KH, KW = weight.shape
        dy = np.ascontiguousarray(dy.transpose(1, 2, 3, 0))
        if m is not None:
            dy = dy * m
        dz = won.astype(dy.dtype)
        dz *= dy.reshape(F, -1)
        dz = dz.reshape(4 * F, -1)  # (abF, H'W'N)

        dE = (patches @ dz.T).reshape(KH + 1, C, KW + 1, 2, 2, F)
        dweight = sum(dE[a : a + KH, :, b : b + KW, a, b] for a in (0, 1) for b in (0, 1))
        grads = {"weight": dweight.transpose(3, 1, 0, 2)}
        if "bias" in self.conv.params:
            # A product with ones: three times as fast as a sum over the long axis.
            grads["bias"] = (dz @ np.ones(dz.shape[1], dz.dtype)).reshape(4, F).sum(axis=0)
        if not self.input_gradient:
            return None, grads
        overlap_add = self.spares.take(x_shape, F, KH, KW, dy.dtype)
        dx = overlap_add(E, dz)
        self.spares.put_back(overlap_add)
        return dx, grads

    def shifted_kernels(self):
        """E ((KH+1) C (KW+1), 4F): the weight at its four places in the patch."""
        weight = np.ascontiguousarray(self.conv.params["weight"].transpose(2, 1, 3, 0))
        KH, C, KW, F = weight.shape
        E = np.zeros((KH + 1, C, KW + 1, 2, 2, F), weight.dtype)
        for a in (0, 1):
            for b in (0, 1):
                E[a : a + KH, :, b : b + KW, a, b] = weight
        return E.reshape(-1, 4 * F)

    def patches(self, x):
        """x (C, H, W, N) -> ((KH+1) C (KW+1), H'W'N), (H', W')."""
        x = np.ascontiguousarray(x)
        (C, H, W, N), (c, row, column, n) = x.shape, x.strides
        KH, KW = self.conv.kernel_size
        h, w = (H - KH + 1) // 2, (W - KW + 1) // 2
        shape, strides = (KH + 1, C, KW + 1, h, w, N), (row, c, column, 2 * row, 2 * column, n)
        windows = np.ndarray(shape, x.dtype, x, 0, strides)  # a view, made faster than by sliding_window_view
        return windows.reshape((KH + 1) * C * (KW + 1), h * w * N), (h, w)
