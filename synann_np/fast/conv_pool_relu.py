"""Convolution, 2×2 pooling and relu as one block, around one matrix product."""

import numpy as np

from .conv_memory import ConvKept, ConvScratch
from .lent_memory import Lender


class ConvPoolRelu:
    """relu(maxpool(m · conv(x))) with the numbers and gradients of the plain layers, up to rounding, in one pass.

    For Conv2d of an odd kernel (KH, KW), stride 1, no padding; optional channel mask m ≥ 0 (Dropout2d); MaxPool2d(2);
    ReLU.

    The four outputs that one pooling window looks at read one patch of (KH+1) by (KW+1) pixels. So, with `patches` at
    stride 2 instead of 1,

        z_abf,hwn = Σ_cij E_icj,abf patches_icj,hwn        a, b = 0, 1

    gives them as four planes, where E_·,abf is weight_f shifted by (a, b) in a frame of zeros. The patches are 2.8
    times smaller than those of a plain 5×5 convolution, and pooling is a maximum over four contiguous arrays. bias and
    m are the same for the four and m ≥ 0, so they may wait until after the maximum:

        y_fhwn = max(0, m_nf (max_ab z_abf,hwn + bias_f))

    Backward: the first plane in row-major order that attains the maximum has won; it gets all of the gradient where
    y > 0. `won` holds that as booleans, dz = won · m dy, and from there on everything is as in Conv2d:

        dE = patches dzᵀ, of which dweight_f is the sum over the four shifts;  dbias_f = Σ dz;  dpatches = E dz

    E has the patch as its rows because BLAS is fastest that way round in all three products.

    Arrays are seen as (N, C, H, W) and lie in memory with the batch innermost, as those of Conv2d. What backward needs
    lies in borrowed memory, and the cache is the loan; y, dx and the gradients are new arrays.
    """

    def __init__(self, conv, input_gradient=True):
        self.conv = conv
        self.input_gradient = input_gradient
        self.kept, self.scratch = Lender(ConvKept), Lender(ConvScratch)
        self.places = places_in_patch(*conv.params["weight"].shape)

    def forward(self, x, mask=None, keep=True):
        """x (N, C, H, W), mask (N, F, 1, 1) or None -> y (N, F, H', W'), cache.

        keep=False, if no backward is expected: nothing stays borrowed, and backward would repeat forward.
        """
        params = self.conv.params
        F, _, KH, KW = params["weight"].shape
        sizes = (x.dtype, *x.shape, F, KH, KW)
        kept_loan, scratch_loan = self.kept.lend(*sizes), self.scratch.lend(*sizes)
        kept, scratch = kept_loan.item, scratch_loan.item
        kept.shift(params["weight"])
        kept.gather(x)
        z = np.matmul(kept.E.T, kept.patches, out=scratch.z)

        y = np.empty((F, kept.sizes.h, kept.sizes.w, len(x)), x.dtype)
        kept.winners.take(z.reshape(2, 2, -1), y.reshape(-1), compare=keep)
        rows = y.reshape(F, -1)
        if "bias" in params:
            rows += params["bias"][:, None]
        m = mask
        if mask is not None:
            m = np.ascontiguousarray(mask.reshape(len(x), F).T)[:, None, None, :]
            y *= m
        np.maximum(rows, scratch.zeros, out=rows)
        if keep:
            kept.winners.close(y.reshape(-1))
        return y.transpose(3, 0, 1, 2), (kept_loan, m) if keep else (None, (x, mask))

    def backward(self, dy, cache):
        """dy (N, F, H', W') -> dx (None without input_gradient), {"weight", "bias"}."""
        kept_loan, m = cache
        if kept_loan is None:
            _, (kept_loan, m) = self.forward(*m)
        scratch_loan = self.scratch.lend(*kept_loan.key)
        kept, scratch = kept_loan.item, scratch_loan.item
        dy = np.ascontiguousarray(dy.transpose(1, 2, 3, 0))
        if m is not None:
            dy = dy * m
        dz = scratch.z
        kept.winners.give(dy.reshape(-1), dz.reshape(2, 2, -1))

        dE = kept.patches @ dz.T
        grads = {"weight": dE.take(self.places).sum(axis=0)}
        if "bias" in self.conv.params:
            # A product with ones: three times as fast as a sum over the long axis.
            grads["bias"] = (dz @ scratch.ones).reshape(4, -1).sum(axis=0)
        return scratch.collect(kept.E) if self.input_gradient else None, grads


def places_in_patch(F, C, KH, KW):
    """(4, F, C, KH, KW): where the four copies of each weight are in E, as indices of E seen as one axis."""
    index = np.arange((KH + 1) * C * (KW + 1) * 4 * F).reshape(KH + 1, C, KW + 1, 2, 2, F)
    copies = [index[a : a + KH, :, b : b + KW, a, b] for a in (0, 1) for b in (0, 1)]
    return np.ascontiguousarray(np.stack(copies).transpose(0, 4, 2, 1, 3))
