"""SynapseGraph by loops in C."""

import copy
import math
from functools import partial
from pathlib import Path

import numpy as np

from ...layers import SynapseGraph
from .arrays import REAL, contiguous, loops, scratch

SOURCE = Path(__file__).with_suffix(".c")
GROUP, COLUMNS = 4, 64  # of the loops: rows (forward) and units (backward), and columns, that they take at a time
MOST = {name: math.sqrt(np.finfo(name).max) for name in REAL}  # |R| and gradients are clipped to it, as in the layer


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
    y, R, zeros = np.empty((3, N, n), x.dtype)
    kernel, rows = loops(x.dtype, SOURCE), np.zeros((N + -N % GROUP, m))
    rows[:N] = v
    tile = kernel.constant("tile")
    tiles = scratch(threads, tile * (COLUMNS + 2 * len(rows)), dtype="float64")
    job = (N, n, m, MOST[x.dtype.name], x, v, alpha, beta, rows, tiles, y, R, zeros)
    kernel.run("forward", threads, -(-n // tile), *job)
    return y, (x, v, alpha, beta, R, zeros)


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

    The loops decide for a few columns j at a time how they divide. In float32 with all |β v| ≤ 2⁻⁹, 1/q is 1 + β v.
    Where all 2⁻²⁰ ≤ q ≤ 2²⁰, one division serves four factors (synapse_factors.h). Elsewhere each factor has its own
    division, in float64, and c is clipped as in the layer. Elements of t below 1e-20 of its largest count as 0.
    """
    x, v, alpha, beta, R, zeros = cache
    (N, n), m = x.shape, v.shape[1]
    dy, zeros = (contiguous(a, x.shape, x.dtype) for a in (dy, zeros))
    kernel, found = loops(x.dtype, SOURCE), np.empty(2)
    dx, dv, dalpha, dbeta = np.empty_like(x), np.empty_like(v), np.zeros_like(alpha), np.empty_like(beta)
    t = np.zeros((n + -n % GROUP, N), x.dtype)
    kernel.run("rows", 1, 1, N, n, t.size, dy, x, alpha, R, zeros, dx, dalpha, t, found)
    memory = scratch(threads, 2 * N, kernel.lanes, dtype=x.dtype)
    job = (N, n, m, MOST[x.dtype.name], *found.tolist(), v, beta, t, zeros, memory, dv, dbeta)
    kernel.run("backward", threads, -(-m // kernel.lanes), *job)
    return dx, dv, dalpha, dbeta


def largest(a):
    """The largest |a|, a float; 0 if a is empty."""
    return float(max(a.max(), -a.min())) if a.size else 0.0
