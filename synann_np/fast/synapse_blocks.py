"""The synapse layer for any β and x: the plain layer, block by block, in little memory."""

import numpy as np

from ..layers import SynapseGraph

BLOCK = 2**20  # factors at a time: the plain layer holds several arrays of them


def forward(x, beta):
    """∏_j (1 − β_ij x_nj), (N, units)."""
    P, one = np.empty((len(x), len(beta)), x.dtype), np.ones(len(beta), x.dtype)
    for rows, units in blocks(len(x), *beta.shape):
        graph = graph_of(one[units], beta[units])
        P[rows, units], _ = graph.forward(np.ones_like(P[rows, units]), x[rows])
    return P


def backward(dy, x, alpha, beta, own):
    """Gradients of y_ni = α_i own_ni ∏_j (1 − β_ij x_nj) with respect to x in the product, (N, n), and β."""
    dx, dbeta = np.zeros_like(x), np.zeros_like(beta)
    for rows, units in blocks(len(x), *beta.shape):
        graph = graph_of(alpha[units], beta[units])
        _, cache = graph.forward(own[rows, units], x[rows])
        (_, dv), grads = graph.backward(dy[rows, units], cache)
        dx[rows] += dv
        dbeta[units] += grads["beta"]
    return dx, dbeta


def graph_of(alpha, beta):
    """The plain layer with these coefficients."""
    graph = SynapseGraph(*beta.shape, dtype=beta.dtype.name)
    graph.params.update(alpha=alpha, beta=beta)
    return graph


def blocks(N, units, n):
    """(slice of rows, slice of units) of about BLOCK factors each."""
    R = max(1, min(N, BLOCK // max(1, n)))
    U = max(1, BLOCK // max(1, n * R))
    return [(slice(r, r + R), slice(u, u + U)) for u in range(0, units, U) for r in range(0, N, R)]
