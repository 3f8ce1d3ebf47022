"""The synapse layer with all its factors, by loops in C."""

import ctypes
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .arrays import REAL, contiguous
from .compiler import library

SOURCE = Path(__file__).with_suffix(".c")
FACTORS_A_THREAD = 2**22  # N n² of a thread that takes much longer than its start

_number, _array = ctypes.c_int64, ctypes.c_void_p


class CompiledSynapse:
    """y_ni = α_i x_ni P_ni, P_ni = ∏_j q_nij, q_nij = 1 − β_ij x_nj, as layers.Synapse, whose parameters it shares.

    The formulas of the layer as they stand, with t_ni = dy_ni y_ni:

        dα_i  =   Σ_n dy_ni x_ni P_ni
        dβ_ij = − Σ_n t_ni x_nj / q_nij
        dx_nj =   dy_nj α_j P_nj − Σ_i t_ni β_ij / q_nij

    What makes the loops fast is that no factor is ever stored: P of four rows and a tile of units is multiplied up in
    registers, and one division serves four units,

        1/q_1 = q_2 (q_3 q_4) / (q_1 q_2 q_3 q_4)       and so on.

    P is multiplied up in float64. In float32 n roundings of the factors would add up where β or x are constant: to
    6e-5 at n = 1024.

    CONDITIONS, which the loops check before they begin, in N n + n² steps. With m_j = max_n x_nj, and all x ≥ 0,

        β_ij m_j ≤ 1 − 2⁻²⁰        so that q ≥ 2⁻²⁰, and four of them neither underflow nor lose digits in 1/q
        Σ_j max(0, −β_ij) m_j ≤ 600   so that no product of factors is above e⁶⁰⁰ ≈ 10²⁶⁰
        |β_ij| ≤ 2²⁰               so that no sum overflows

    Where they do not hold, `otherwise` does the work.

    Elements of t below 1e-20 of its largest count as 0: they are smaller than the rounding of the others. Unlike in the
    plain layer nothing is clipped in backward, and x and the weights must not change between forward and backward.

    Arguments:
        kernels: of kernels_for.
        otherwise: FastSynapse of the layer. Its series is asked first whether it is faster still.
        threads: among which the rows of a large batch are divided. Gradients are added in their order, so equal numbers
            of threads give equal bits.
    """

    draws_masks = False

    def __init__(self, layer, kernels, otherwise, threads=1):
        self.layer, self.params, self.kernels = layer, layer.params, kernels
        self.otherwise, self.threads = otherwise, threads

    def forward(self, x, train=False):
        self.layer.check_input(x, "N", self.layer.features)
        x = np.ascontiguousarray(x)
        alpha, beta = self.coefficients(x)
        if self.otherwise.takes_few_terms(x, beta):
            return self.otherwise.forward(x, train)
        y, P = np.empty_like(x), np.empty_like(x)
        largest = float(np.sqrt(np.finfo(x.dtype).max))  # as the plain layer

        def part(rows):
            arrays = (a.ctypes.data for a in (x[rows], alpha, beta))
            results = (a.ctypes.data for a in (y[rows], P[rows]))
            return self.kernels.forward(rows.stop - rows.start, x.shape[1], *arrays, largest, *results)

        if not all(_done(part, self.parts(x))):
            return self.otherwise.forward(x, train)
        return y, (self, x, P)

    def backward(self, dy, cache):
        if cache[0] is not self:
            return self.otherwise.backward(dy, cache)
        _, x, P = cache
        alpha, beta = self.coefficients(x)
        dy = contiguous(dy, x.shape, x.dtype)
        dx, parts = np.empty_like(x), self.parts(x)
        dalphas = np.empty((len(parts), *alpha.shape), x.dtype)
        dbetas = np.empty((len(parts), *beta.shape), x.dtype)

        def part(rows):
            k = parts.index(rows)
            arrays = (a.ctypes.data for a in (dy[rows], x[rows], P[rows], alpha, beta, dx[rows], dalphas[k], dbetas[k]))
            return self.kernels.backward(rows.stop - rows.start, x.shape[1], *arrays)

        _done(part, parts)
        return dx, self.layer.gradients(_sum(dalphas), _sum(dbetas))

    def coefficients(self, x):
        """alpha and beta as the loops take them."""
        n = x.shape[1]
        shapes = (n,), (n, n)
        return [contiguous(a, shape, x.dtype) for a, shape in zip(self.layer.coefficients(), shapes, strict=True)]

    def parts(self, x):
        """Slices of rows, one for each thread that is worth starting."""
        N, n = x.shape
        count = max(1, min(self.threads, N, N * n * n // FACTORS_A_THREAD))
        edges = [N * k // count for k in range(count + 1)]
        return [slice(*edge) for edge in itertools.pairwise(edges)]


def kernels_for(layer):
    """The loops for a layer of this dtype, or None: not compiled."""
    real = REAL.get(np.dtype(layer.dtype).name)
    kernels = real and library(SOURCE, REAL=real)
    if kernels is not None:
        kernels.forward.argtypes = [_number, _number, *[_array] * 3, ctypes.c_double, *[_array] * 2]
        kernels.backward.argtypes = [_number, _number, *[_array] * 8]
    return kernels


def _done(part, parts):
    """Whether each part could be done. The interpreter is not needed meanwhile: threads run side by side."""
    if len(parts) == 1:
        results = [part(parts[0])]
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            results = list(pool.map(part, parts))
    if -1 in results:
        raise MemoryError("fast.c.synapse: no memory for a part of beta")
    return [result == 1 for result in results]


def _sum(parts):
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total
