"""The memory of ConvPoolRelu, and how pixels travel through it: to the patches and back."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .lent_memory import aligned_empty
from .window_maximum import WindowMaximum


class ConvSizes:
    """Sizes for x (N, C, H, W) and F filters of (KH, KW), both odd.

    h by w pooling windows; PH = KH+1, PW = KW+1: sizes of a patch; R, S: pairs of pixel rows and of columns that the
    windows see.
    """

    def __init__(self, N, C, H, W, F, KH, KW):
        self.N, self.C, self.H, self.W, self.F = N, C, H, W, F
        self.PH, self.PW = KH + 1, KW + 1
        self.h, self.w = (H - KH + 1) // 2, (W - KW + 1) // 2
        self.R, self.S = self.h + self.PH // 2 - 1, self.w + self.PW // 2 - 1
        self.windows = self.h * self.w * N


class ConvKept:
    """What backward needs of a call of forward: the patches, the shifted kernels, and who won."""

    def __init__(self, dtype, *sizes):
        self.sizes = k = ConvSizes(*sizes)
        self.patches = aligned_empty((k.PH * k.C * k.PW, k.windows), dtype)
        self.E = aligned_empty((k.PH * k.C * k.PW, 4 * k.F), dtype)
        self.E[...] = 0
        E = self.E.reshape(k.PH, k.C, k.PW, 2, 2, k.F)
        KH, KW = k.PH - 1, k.PW - 1
        self.places = [E[a : a + KH, :, b : b + KW, a, b] for a in (0, 1) for b in (0, 1)]
        self.winners = WindowMaximum(k.F * k.windows)

    def shift(self, weight):
        """E = weight (F, C, KH, KW) at its four places in the patch. Elsewhere E stays zero."""
        weight = np.ascontiguousarray(weight.transpose(2, 1, 3, 0))  # (i, c, j, f)
        for place in self.places:
            np.copyto(place, weight)

    def gather(self, x):
        """patches_icj,hwn = x_n,c,2h+i,2w+j"""
        k = self.sizes
        x = np.ascontiguousarray(x.transpose(1, 2, 3, 0))
        c, row, column, n = x.strides
        shape, strides = (k.PH, k.C, k.PW, k.h, k.w, k.N), (row, c, column, 2 * row, 2 * column, n)
        windows = np.ndarray(shape, x.dtype, x, 0, strides)  # a view, quicker to make than with as_strided
        np.copyto(self.patches.reshape(shape), windows)


class ConvScratch:
    """What is free again at the end of a call. It serves one call at a time.

    collect adds every element of dpatches to the pixel that it was copied from. Rows and columns go in pairs: row
    2i + p of the patch of window h is row 2 (h + i) + p of the image. So, first all i, then all j,

        drows_pcj,rwn = Σ_i dpatches_(2i+p)cj,(r−i)wn
        dx_c,2r+p,2s+q,n = Σ_j drows_pc(2j+q),r(s−j)n

    Each term of a sum has a frame of its own as large as the result, zero where the term has nothing to add. So the
    frames are added as whole arrays, which NumPy does several times faster than parts of them. The product that makes
    dpatches writes into the frames.
    """

    def __init__(self, dtype, *sizes):
        self.sizes = k = ConvSizes(*sizes)
        self.z = aligned_empty((4 * k.F, k.windows), dtype)
        self.ones, self.zeros = np.ones(k.windows, dtype), np.zeros(k.windows, dtype)
        self.row_frames = None

    def collect(self, E):
        """dpatches = E dz, with dz in z, added to the pixels -> dx (N, C, H, W), a new array."""
        k = self.sizes
        if self.row_frames is None:
            self.make_frames()
        drows = self.row_frames[0]
        drows[:, :, k.h :] = 0  # where the call before has left its sum
        half = 2 * k.F
        for i, (E_row, frame) in enumerate(zip(E.reshape(k.PH, -1, 4 * k.F), self.row_terms, strict=True)):
            # No weight meets the first row of a patch from a = 1, nor the last one from a = 0.
            a = slice(half * (i == k.PH - 1), half * (1 + (i > 0)))
            np.matmul(E_row[:, a], self.z[a], out=frame)
        for frame in self.row_frames[1:]:
            drows += frame
        np.copyto(self.column_terms, drows.reshape(self.column_terms.shape))
        dx = self.column_frames[0].copy()
        for frame in self.column_frames[1:]:
            dx += frame
        dx = dx.reshape(k.C, 2 * k.R, 2 * k.S, k.N)
        if dx.shape[1:3] != (k.H, k.W):  # an odd size: pixels that no window saw
            dx = np.pad(dx, ((0, 0), (0, k.H - 2 * k.R), (0, k.W - 2 * k.S), (0, 0)))
        return dx.transpose(3, 0, 1, 2)

    def make_frames(self):
        """Made when dx is first wanted: they are the larger part."""
        k, dtype = self.sizes, self.z.dtype
        I, J = k.PH // 2, k.PW // 2
        self.row_frames = aligned_empty((I, 2, k.C * k.PW, k.R, k.w * k.N), dtype)
        self.row_frames[...] = 0
        terms = [self.row_frames[i // 2, i % 2, :, i // 2 :][:, : k.h] for i in range(k.PH)]
        self.row_terms = [term.reshape(k.C * k.PW, k.windows) for term in terms]
        self.column_frames = aligned_empty((J, k.C, k.R, 2, k.S, 2, k.N), dtype)
        self.column_frames[...] = 0
        j, c, r, p, s, q, n = self.column_frames.strides
        self.column_terms = as_strided(self.column_frames, (2, k.C, J, 2, k.R, k.w, k.N), (p, c, j + s, q, r, s, n))
