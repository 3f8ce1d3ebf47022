"""SynapseGraph by loops in C."""

import copy
import ctypes
import math
from functools import partial
from pathlib import Path

import numpy as np

from ...layers import SynapseGraph
from .arrays import call, contiguous, loops

SOURCE = Path(__file__).with_suffix(".c")

_number, _array, _real = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double
SIGNATURES = {
    "forward": [*[_number] * 4, *[_array] * 4, _real, *[_array] * 3],
    "backward": [*[_number] * 4, *[_array] * 5, _real, *[_array] * 6],
}
GRAPH = SOURCE, SIGNATURES


def with_fast_graph(layer, threads):
    """A copy of a SynapseGraph, Synapse, SynapseTensor or SynapseRNN with the same arrays, whose graphs run in C."""
    twin = copy.copy(layer)
    twin.in_c = (GRAPH,)
    if isinstance(layer, SynapseGraph):
        twin.graph_forward = partial(synapse_graph_forward, threads=threads)
        twin.graph_backward = partial(synapse_graph_backward, threads=threads)
    else:
        twin.parts = {prefix: with_fast_graph(part, threads) for prefix, part in layer.parts.items()}
    return twin


def synapse_graph_forward(x, v, alpha, beta, threads):
    """y_ni = α_i x_ni ∏_j (1 − β_ij v_nj), as layers.SynapseGraph computes it, for any α, β, x and v.

    With q_nij = 1 − β_ij v_nj, R_ni = ∏_{q≠0} q_nij and zeros_ni the number of q_nij = 0:

        y_ni = α_i x_ni R_ni  if zeros_ni = 0, else 0

    No factor is ever stored: R is multiplied up in registers, in float64, with its exponent kept apart, so that no
    partial product over- or underflows. In float32, n roundings would add up where β or v are constant (6e-5 at
    n = 1024). Where in float32 two terms of log(1 − β v) = − β v − (β v)²/2 − ... are right to 1e-6 of y, as behind a
    softmax over many units, these are summed instead, in three quarters of the time.

    Arguments: x (N, n), v (N, m), alpha (n,), beta (n, m): float32 or float64, all of one dtype.

    Returns: y (N, n), cache.
    """
    (N, n), m = x.shape, v.shape[1]
    x, v = contiguous(x, (N, n), x.dtype), contiguous(v, (N, m), x.dtype)
    alpha, beta = contiguous(alpha, (n,), x.dtype), contiguous(beta, (n, m), x.dtype)
    y, R, zeros = np.empty_like(x), np.empty_like(x), np.empty(x.shape, np.uint8)
    sizes, arrays = (threads, N, n, m), (x, v, alpha, beta)
    call(loops(SOURCE, SIGNATURES, x.dtype).forward, *sizes, *arrays, _largest(x), y, R, zeros)
    return y, (x, v, alpha, beta, R, zeros)


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
    dx, dv, dalpha, dbeta = np.empty_like(x), np.empty_like(v), np.empty_like(alpha), np.empty_like(beta)
    sizes, arrays, results = (threads, N, n, m), (dy, x, v, alpha, beta), (dx, dv, dalpha, dbeta)
    call(loops(SOURCE, SIGNATURES, x.dtype).backward, *sizes, *arrays, _largest(x), R, zeros, *results)
    return dx, dv, dalpha, dbeta


def _largest(x):
    return math.sqrt(np.finfo(x.dtype).max)
