"""The synapse layer as a power series of matrix products, where the series is accurate."""

import math

import numpy as np

from .synapse_blocks import backward_by_blocks, forward_by_blocks, scaled

MOST_TERMS = 14  # beyond, the exact path is faster (benchmarked at n = 64 to 4096)


class FastSynapse:
    """y_ni = α_i x_ni P_ni, P_ni = ∏_j (1 − β_ij x_nj), as layers.Synapse, whose parameters (and parametrisation) it
    shares.

    The plain layer forms all N n² factors. But with z = β_ij x_nj, |z| < 1,

        log(1 − z) = − Σ_{k≥1} zᵏ / k          1 / (1 − z) = Σ_{k≥0} zᵏ

    and zᵏ = β_ijᵏ x_njᵏ separates, so that K terms are K matrix products of elementwise powers:

        log P_ni = − Σ_{k=1..K} (1/k) Σ_j β_ijᵏ x_njᵏ

    and with t_ni = dy_ni y_ni the gradient, which has t/(1 − z) where the plain one has t/q,

        dβ_ij = − Σ_{k=1..K} β_ij^{k−1} Σ_n t_ni x_njᵏ
        dx_nj = dy_nj α_j P_nj − Σ_{k=1..K} x_nj^{k−1} Σ_i t_ni β_ijᵏ

    both summed by Horner's rule. Time: 3 K products of N n² multiplications, at the speed of BLAS. Memory: a few
    arrays of n², K of N n.

    How many terms. Let b = max |β|, r = b max |x|, s = the largest Σ_j |x_nj| of a row. Cut after K terms,

        |error of log P| ≤ Σ_j Σ_{k>K} |z|ᵏ/k ≤ r^K b s / ((K + 1)(1 − r))
        relative error of 1/(1 − z) = |z|^K ≤ r^K                           as (1 − z) Σ_{k<K} zᵏ = 1 − z^K

    K is the least with both below 8 ε of the dtype (1e-6 in float32). If that takes too many terms, a few large x_nj
    may be the reason: the rows of a softmax sum to 1, so at most 1/τ entries of a row exceed τ. Entries above half the
    τ that MOST_TERMS can bear are taken out of the series, and their factors computed one by one. If they are many, or
    the bound fails for another reason, the exact factors of all are computed block by block (synapse_blocks.py).
    """

    def __init__(self, layer):
        self.layer = layer
        self.params = layer.params

    # Powers of small numbers may underflow to 0, which is what they add.
    @np.errstate(under="ignore")
    def forward(self, x, train=False):
        self.layer.check_input(x, "N", self.layer.features)
        alpha, beta = self.layer.coefficients()
        plan = plan_series(x, beta)
        if plan is None:
            P, cache = forward_by_blocks(self.layer, x)
        else:
            K, (rows, columns) = plan
            small = x
            if len(rows):
                small = x.copy()
                small[rows, columns] = 0
            powers = powers_of(small, K)
            log_P = sum_of_products(powers, beta)
            factors = 1 - beta.T[columns] * x[rows, columns][:, None]  # (entries, i)
            if len(rows):
                np.add.at(log_P, rows, np.log(factors))
            P, cache = np.exp(log_P), (powers, rows, columns, factors)
        return alpha * x * P, (x, P, plan, cache)

    @np.errstate(under="ignore")
    def backward(self, dy, cache):
        x, P, plan, cache = cache
        alpha, beta = self.layer.coefficients()
        if plan is None:
            return backward_by_blocks(self.layer, dy, x, P, cache)
        powers, rows, columns, factors = cache
        t, scale = scaled(dy * alpha * x * P)
        dbeta = t.T @ powers[-1]
        for xk in powers[-2::-1]:
            dbeta *= beta
            dbeta += t.T @ xk
        products, beta_k = [t @ beta], beta
        for _ in powers[1:]:
            beta_k = beta_k * beta
            products.append(t @ beta_k)
        dx = products.pop()
        while products:
            dx *= powers[0]
            dx += products.pop()
        if len(rows):
            weighted = t[rows] / factors  # (entries, i)
            dx[rows, columns] = (weighted * beta.T[columns]).sum(axis=1)
            np.add.at(dbeta.T, columns, weighted * x[rows, columns][:, None])
        return dy * alpha * P - scale * dx, self.layer.gradients((dy * x * P).sum(axis=0), -scale * dbeta)


def plan_series(x, beta):
    """(K, indices of the entries of x to take out), or None if the series would not pay or not be accurate."""
    tolerance = 8 * float(np.finfo(x.dtype).eps)
    b, size = float(np.abs(beta).max(initial=0)), np.abs(x)
    largest, s = float(size.max(initial=0)), float(size.sum(axis=1).max(initial=0))
    nothing = (np.empty(0, np.intp), np.empty(0, np.intp))
    K = terms(b * largest, b * s, tolerance)
    if K is not None:
        return K, nothing
    tau = tolerance ** (1 / MOST_TERMS) / (2 * b) if math.isfinite(b) and b > 0 else 0.0
    entries = np.nonzero(~(size <= tau))
    factors = 1 - beta.T[entries[1]] * x[entries][:, None] if len(entries[0]) * 8 <= x.size else None
    if factors is None or not (factors > 0).all():
        return None
    K = terms(b * tau, b * s, tolerance)
    return None if K is None else (K, entries)


def terms(r, weight, tolerance):
    """The least K ≤ MOST_TERMS that keeps both errors below the tolerance, or None. weight: b s above."""
    if not r < 1:  # also if r is NaN
        return None
    for K in range(1, MOST_TERMS + 1):
        if r**K <= tolerance and r**K * weight / ((K + 1) * (1 - r)) <= tolerance:
            return K
    return None


def powers_of(x, K):
    """[x, x², ..., x^K]. What is below 1e-30 is 0: it adds nothing, and subnormal numbers are slow."""
    powers = [x]
    for _ in range(K - 1):
        xk = powers[-1] * x
        xk[np.abs(xk) < 1e-30] = 0
        powers.append(xk)
    return powers


def sum_of_products(powers, beta):
    """− Σ_k (1/k) Σ_j β_ijᵏ x_njᵏ, (N, n), from the smallest terms to the largest."""
    products, beta_k = [], beta
    for k, xk in enumerate(powers, start=1):
        if k > 1:
            beta_k = beta_k * beta
        products.append((xk @ beta_k.T) / -k)
    total = products.pop()
    while products:
        total += products.pop()
    return total
