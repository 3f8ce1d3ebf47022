"""Convolution, 2×2 pooling and relu as one block, around one matrix product."""

import numpy as np


class ConvPoolRelu:
    """relu(maxpool(m · conv(x))) with the numbers and gradients of the plain layers, up to rounding, in one pass.

    For Conv2d of an odd kernel (KH, KW), stride 1, no padding; optional channel mask m ≥ 0 (Dropout2d); MaxPool2d(2);
    ReLU.

    The four outputs that one pooling window looks at read one patch of (KH+1) by (KW+1) pixels. So, with `patches` at
    stride 2 instead of 1,

        z_abf,hwn = Σ_cij E_cij,abf patches_cij,hwn        a, b = 0, 1

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

    def forward(self, x, mask=None):
        """x (N, C, H, W), mask (N, F, 1, 1) or None -> y (N, F, H', W'), cache."""
        E = self.shifted_kernels()
        patches, shape = self.patches(x.transpose(1, 2, 3, 0))
        F = len(self.conv.params["weight"])
        z = (E.T @ patches).reshape(2, 2, F, -1)  # (a, b, F, H'W'N)

        left_won = z[:, 0] >= z[:, 1]
        rows = np.maximum(z[:, 0], z[:, 1])
        top_won = rows[0] >= rows[1]
        y = np.maximum(rows[0], rows[1])
        if "bias" in self.conv.params:
            y += self.conv.params["bias"][:, None]
        y = y.reshape(F, *shape, len(x))
        if mask is not None:
            mask = mask.reshape(len(x), F).T[:, None, None, :]
            y *= mask
        np.maximum(y, 0, out=y)

        won = np.empty(z.shape, bool)
        won[1, 1] = y.reshape(F, -1) > 0
        np.logical_and(won[1, 1], top_won, out=won[0, 1])
        won[1, 1] ^= won[0, 1]
        np.logical_and(won[:, 1], left_won, out=won[:, 0])
        won[:, 1] ^= won[:, 0]
        return y.transpose(3, 0, 1, 2), (E, patches, won, mask, x.shape)

    def backward(self, dy, cache):
        """dy (N, F, H', W') -> dx (None without input_gradient), {"weight", "bias"}."""
        E, patches, won, mask, x_shape = cache
        weight = self.conv.params["weight"]
        F, C, KH, KW = weight.shape
        dy = np.ascontiguousarray(dy.transpose(1, 2, 3, 0))
        if mask is not None:
            dy = dy * mask
        dz = won.astype(dy.dtype)
        dz *= dy.reshape(F, -1)
        dz = dz.reshape(4 * F, -1)  # (abF, H'W'N)

        dE = (patches @ dz.T).reshape(C, KH + 1, KW + 1, 2, 2, F)
        dweight = sum(dE[:, a : a + KH, b : b + KW, a, b] for a in (0, 1) for b in (0, 1))
        grads = {"weight": dweight.transpose(3, 0, 1, 2)}
        if "bias" in self.conv.params:
            # A product with ones: three times as fast as a sum over the long axis.
            grads["bias"] = (dz @ np.ones(dz.shape[1], dz.dtype)).reshape(4, F).sum(axis=0)
        dx = self.collect(E @ dz, x_shape, dy.shape[1:3]) if self.input_gradient else None
        return dx, grads

    def shifted_kernels(self):
        """E (C (KH+1) (KW+1), 4F): the weight at its four places in the patch."""
        weight = self.conv.params["weight"].transpose(1, 2, 3, 0)
        C, KH, KW, F = weight.shape
        E = np.zeros((C, KH + 1, KW + 1, 2, 2, F), weight.dtype)
        for a in (0, 1):
            for b in (0, 1):
                E[:, a : a + KH, b : b + KW, a, b] = weight
        return E.reshape(-1, 4 * F)

    def patches(self, x):
        """x (C, H, W, N) -> (C (KH+1) (KW+1), H'W'N), (H', W')."""
        KH, KW = self.conv.kernel_size
        windows = np.lib.stride_tricks.sliding_window_view(x, (KH + 1, KW + 1), axis=(1, 2))[:, ::2, ::2]
        C, H, W = windows.shape[:3]
        return windows.transpose(0, 4, 5, 1, 2, 3).reshape(C * (KH + 1) * (KW + 1), -1), (H, W)

    def collect(self, dpatches, x_shape, y_shape):
        """Add every patch to the pixels that it was copied from -> dx (N, C, H, W).

        Pixel 2h + i of a patch at 2h is, with i = 2 i₂ + p, pixel p of the pair h + i₂: whole pairs are added, by rows
        and by columns, a quarter as many additions of four times the length.
        """
        N, C, H, W = x_shape
        KH, KW = self.conv.kernel_size
        (h, w), pairs_h, pairs_w = y_shape, (KH + 1) // 2, (KW + 1) // 2
        dpatches = dpatches.reshape(C, pairs_h, 2, pairs_w, 2, h, w, N).transpose(0, 1, 3, 5, 2, 6, 4, 7)
        dx = np.zeros((C, h + pairs_h - 1, 2, w + pairs_w - 1, 2, N), dpatches.dtype)
        for i in range(pairs_h):
            for j in range(pairs_w):
                dx[:, i : i + h, :, j : j + w] += dpatches[:, i, j]
        dx = dx.reshape(C, 2 * dx.shape[1], 2 * dx.shape[3], N)
        if dx.shape[1:3] != (H, W):  # an odd size: pixels that no window saw
            dx = np.pad(dx, ((0, 0), (0, H - dx.shape[1]), (0, W - dx.shape[2]), (0, 0)))
        return dx.transpose(3, 0, 1, 2)
