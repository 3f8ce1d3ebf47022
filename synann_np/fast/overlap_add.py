"""The gradient of patches added to the pixels that they were copied from, in memory that is used again."""

import ctypes
import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

CACHE_LINE = 64  # bytes
SHAPES_KEPT = 4


class OverlapAdd:
    """dx from dpatches = E dz (see ConvPoolRelu), for one shape of x.

    Patches begin at every second row and column, so rows and columns go in pairs: row 2i + p of the patch of window h
    is row 2 (h + i) + p of the image. With all i first, then all j,

        drows_pcj,rwn = Σ_i dpatches_(2i+p)cj,(r−i)wn
        dx_c,2r+p,2s+q,n = Σ_j drows_pc(2j+q),r(s−j)n

    Each term of a sum has a frame of its own as large as the result, zero where the term has nothing to add. So whole
    arrays are added, which NumPy does several times faster than parts of them. The products that make dpatches write
    into the frames, a product for each row of the patches: no weight meets the first row from a = 1, nor the last one
    from a = 0, and that half is left out.
    """

    def __init__(self, x_shape, F, KH, KW, dtype):
        N, C, self.H, self.W = x_shape
        self.key = x_shape, F, KH, KW, dtype
        h, w, I, J = (self.H - KH + 1) // 2, (self.W - KW + 1) // 2, (KH + 1) // 2, (KW + 1) // 2
        R, S = h + I - 1, w + J - 1  # pairs of rows and of columns that the patches cover
        self.row_frames = _aligned_zeros((I, 2, C * (KW + 1), R, w * N), dtype)
        self.beyond = self.row_frames[0, :, :, h:]
        terms = [self.row_frames[i // 2, i % 2, :, i // 2 : i // 2 + h] for i in range(KH + 1)]
        self.row_terms = [term.reshape(C * (KW + 1), h * w * N) for term in terms]
        self.reach = [slice(2 * F * (i == KH), 2 * F * (1 + (i > 0))) for i in range(KH + 1)]
        self.column_frames = _aligned_zeros((J, C, R, 2, S, 2, N), dtype)
        j, c, r, p, s, q, n = self.column_frames.strides
        self.column_terms = as_strided(self.column_frames, (2, C, J, 2, R, w, N), (p, c, j + s, q, r, s, n))

    def __call__(self, E, dz):
        """E ((KH+1) C (KW+1), 4F), dz (4F, hwN) -> dx (N, C, H, W), a new array."""
        E_rows = E.reshape(len(self.reach), -1, len(dz))
        for E_row, a, term in zip(E_rows, self.reach, self.row_terms, strict=True):
            np.matmul(E_row[:, a], dz[a], out=term)
        self.beyond[...] = 0  # the sum of the call before is in this frame
        drows = self.row_frames[0]
        for frame in self.row_frames[1:]:
            drows += frame
        np.copyto(self.column_terms, drows.reshape(self.column_terms.shape))
        dx = self.column_frames[0].copy()
        for frame in self.column_frames[1:]:
            dx += frame
        C, R, _, S, _, N = dx.shape
        dx = dx.reshape(C, 2 * R, 2 * S, N)
        if dx.shape[1:3] != (self.H, self.W):  # an odd size: pixels that no window saw
            dx = np.pad(dx, ((0, 0), (0, self.H - 2 * R), (0, self.W - 2 * S), (0, 0)))
        return dx.transpose(3, 0, 1, 2)


class Spares:
    """OverlapAdds of the last SHAPES_KEPT shapes that no call uses at the moment.

    A call takes one out and puts it back, so two calls at a time never share one. No lock: a list pops and appends one
    at a time, and the dict is replaced as a whole.
    """

    def __init__(self):
        self.shelves = {}

    def take(self, *key):
        """An OverlapAdd of these arguments."""
        try:
            return self.shelves[key].pop()
        except (KeyError, IndexError):
            return OverlapAdd(*key)

    def put_back(self, spare):
        """Only what was taken; once."""
        shelf = self.shelves.get(spare.key)
        if shelf is None:
            self.shelves = dict([*self.shelves.items()][1 - SHAPES_KEPT :]) | {spare.key: [spare]}
        else:
            shelf.append(spare)


def _aligned_zeros(shape, dtype):
    """np.zeros, beginning at a cache line: np.zeros itself promises 16 bytes, and sums written there take longer."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    first = -ctypes.addressof(ctypes.c_char.from_buffer(memory)) % CACHE_LINE
    return memory[first : first + size].view(dtype).reshape(shape)
