"""SynapseGraph by loops in C."""

import copy
import math
from functools import partial
from pathlib import Path

import numpy as np

from ...layers import SynapseGraph
from .arrays import CACHE_LINE, REAL, contiguous, loops, scratch

SOURCE = Path(__file__).with_suffix(".c")
GROUP, COLUMNS = 4, 64  # of the loops: rows (forward) and units (backward), and columns, that they take at a time
FACTORS, MOST_PRODUCT = 16, 2.0**40  # so many factors of this size, or 2⁻⁵³, neither over- nor underflow
MOST = {name: math.sqrt(np.finfo(name).max) for name in REAL}  # |R| and gradients are clipped to it, as in the layer
TINY = 1e-20  # of the largest gradient; what is smaller counts as 0: sums of subnormal numbers take long


def with_fast_graph(layer, threads):
    """A copy of a SynapseGraph, Synapse, SynapseTensor or SynapseRNN with the same arrays, whose graphs run in C."""
    twin = copy.copy(layer)
    twin.in_c = ((SOURCE,),)
    if isinstance(layer, SynapseGraph):
        twin.graph_forward = partial(synapse_graph_forward, threads=threads)
        twin.graph_backward = partial(synapse_graph_backward, threads=threads)
    else:
        twin.parts = {prefix: with_fast_graph(part, threads) for prefix, part in layer.parts.items()}
    return twin


@np.errstate(over="ignore", under="ignore")
def synapse_graph_forward(x, v, alpha, beta, threads):
    """y_ni = α_i x_ni ∏_j (1 − β_ij v_nj), as layers.SynapseGraph computes it, for any α, β, x and v.

    With q_nij = 1 − β_ij v_nj, R_ni = ∏_{q≠0} q_nij and zeros_ni the number of q_nij = 0:

        y_ni = α_i x_ni R_ni  if zeros_ni = 0, else 0

    No factor is ever stored: R is multiplied up in registers, in float64, with its exponent kept apart, so that no
    partial product over- or underflows. In float32, n roundings would add up where β or v are constant (6e-5 at
    n = 1024).

    Arguments: x (N, n), v (N, m), alpha (n,), beta (n, m): float32 or float64, all of one dtype.

    Returns: y (N, n), cache.
    """
    (N, n), m = x.shape, v.shape[1]
    x, v = contiguous(x, (N, n), x.dtype), contiguous(v, (N, m), x.dtype)
    alpha, beta = contiguous(alpha, (n,), x.dtype), contiguous(beta, (n, m), x.dtype)
    R, zeros = np.empty_like(x), np.empty(x.shape, np.uint8)
    kernel, rows = loops(x.dtype, SOURCE), np.zeros((N + -N % GROUP, m))
    rows[:N] = v
    tile, step = kernel.constant("tile"), FACTORS if largest(v) * largest(beta) <= MOST_PRODUCT else 1
    tiles = scratch(threads, tile * (COLUMNS + 2 * len(rows)), dtype="float64")
    kernel.run("forward", threads, -(-n // tile), N, n, m, step, MOST[x.dtype.name], v, beta, rows, tiles, R, zeros)
    return alpha * x * (np.where(zeros == 0, R, 0) if zeros.any() else R), (x, v, alpha, beta, R, zeros)


@np.errstate(over="ignore", under="ignore")
def synapse_graph_backward(dy, cache, threads):
    """dx, dv, dalpha, dbeta of synapse_graph_forward. With t_ni = dy_ni α_i x_ni R_ni,

        dα_i  =   Σ_n dy_ni x_ni P_ni                P_ni = R_ni if zeros_ni = 0, else 0
        dβ_ij = − Σ_n c_nij v_nj
        dx_ni =   dy_ni α_i P_ni
        dv_nj = − Σ_i c_nij β_ij
        c_nij =   t_ni / q_nij                        if zeros_ni = 0
                  t_ni                                if q_nij is the only factor that is 0
                  0                                   otherwise

    Where all 2⁻²⁰ ≤ q ≤ 2²⁰, one division serves four factors (synapse_factors.h), and in float32 with all |β v| ≤ 2⁻⁶,
    1/q is two or three terms of 1 + β v + (β v)² + ...; elsewhere each factor has its own division, in float64. c is
    clipped as in the layer. Elements of t below 1e-20 of its largest count as 0.
    """
    x, v, alpha, beta, R, zeros = cache
    (N, n), m = x.shape, v.shape[1]
    dy = contiguous(dy, x.shape, x.dtype)
    dyR = dy * R
    t = dyR * alpha * x
    any_zero = zeros.any()
    dyP = np.where(zeros == 0, dyR, 0) if any_zero else dyR
    scale = 2.0 ** math.floor(math.log2(size)) if 0 < (size := largest(t)) < math.inf else 1.0
    t /= x.dtype.type(scale)  # a product by 1 / scale might overflow
    t[abs(t) < TINY] = 0
    rows = np.zeros((2, N, n + -n % GROUP + CACHE_LINE // x.itemsize), x.dtype)  # not all in one set of a cache
    rows[0, :, :n] = np.where(zeros == 0, t, 0) if any_zero else t
    if any_zero:
        rows[1, :, :n] = np.where(zeros == 1, t, 0)
    kernel = loops(x.dtype, SOURCE)
    dv, dbeta = np.empty_like(v), np.empty_like(beta)
    memory = scratch(threads, 2 * N, kernel.lanes, dtype=x.dtype)
    job = (N, n, m, rows.shape[2], _way(v, beta), MOST[x.dtype.name], scale, v, beta, *rows, memory, dv, dbeta)
    kernel.run("backward", threads, -(-m // kernel.lanes), *job)
    return dyP * alpha, dv, (dyP * x).sum(axis=0), dbeta


def _way(v, beta):
    """How the loops compute 1 / q: see backward_job in synapse_graph.c."""
    if not v.size or not beta.size:
        return 0
    if v.dtype == np.float32 and (z := largest(v) * largest(beta)) <= 2.0**-6:
        return 2 if z <= 2.0**-9 else 3  # right to 4e-6
    most = v.max(axis=0).astype("float64")
    z = beta.max(axis=0) * most, beta.min(axis=0) * most  # of all rows, as v ≥ 0
    return 0 if v.min() >= 0 and z[0].max() <= 1 - 2.0**-20 and z[1].min() >= -(2.0**20) else -1


def largest(a):
    """The largest |a|, a float; 0 if a is empty."""
    return float(max(a.max(), -a.min())) if a.size else 0.0
