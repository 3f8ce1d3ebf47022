"""The synapse layer as matrix products: a series where it is accurate in few terms, otherwise all factors."""

import math

import numpy as np

from . import synapse_blocks, synapse_products, synapse_series

WIDE, FEW_TERMS = 192, 3  # units from which on a series of so few terms is faster than loops in C over all factors


class FastSynapse:
    """y_ni = α_i x_ni P_ni, P_ni = ∏_j (1 − β_ij x_nj), as layers.Synapse, whose parameters (and parametrisation) it
    shares.

    The plain layer forms all N n² factors. Here is the choice between three ways to do without; for each, t_ni = dy_ni
    y_ni and what the ways below have in common is

        dα_i  =   Σ_n dy_ni x_ni P_ni
        dβ_ij = − Σ_n t_ni x_nj / (1 − β_ij x_nj)
        dx_nj =   dy_nj α_j P_nj − Σ_i t_ni β_ij / (1 − β_ij x_nj)

    SERIES (synapse_series.py). With z = β_ij x_nj, |z| ≤ r < 1, let g be the Chebyshev series of 1/(1 − z) on [−r, r],
    cut after K terms and written in powers of z:

        1/(1 − z) ≈ g(z) = Σ_{m<K} d_m zᵐ        log(1 − z) ≈ − Σ_{m<K} d_m zᵐ⁺¹ / (m + 1)

    the second by integration, so that the gradients computed are those of the function computed. And zᵐ = β_ijᵐ x_njᵐ
    separates: a term is one matrix product of elementwise powers,

        log P_ni = − Σ_{k=1..K} (d_{k−1}/k) Σ_j β_ijᵏ x_njᵏ
        dβ_ij = − Σ_{k=1..K} d_{k−1} β_ij^{k−1} Σ_n t_ni x_njᵏ
        dx_nj = dy_nj α_j P_nj − Σ_{k=1..K} d_{k−1} x_nj^{k−1} Σ_i t_ni β_ijᵏ

    Time: 3 K products of N n² multiplications, at the speed of BLAS. Memory: a few arrays of n², K of N n.

    How many terms. 1/(1 − r u) on [−1, 1] has the Chebyshev coefficients 2 ρ⁻ᵏ/c (half of it for k = 0), with
    c = √(1 − r²), ρ = (1 + c)/r. As |T_k| ≤ 1, what is cut off is at most the sum of the others,

        |g(z) − 1/(1 − z)| ≤ E(r, K) = Σ_{k≥K} 2 ρ⁻ᵏ/c = 2 ρ^{1−K} / ((ρ − 1) c)

    and, integrated from 0, log(1 − z) is wrong by at most E |z|. With Z = max |β| · the largest Σ_j |x_nj| of a row,

        |error of log P| ≤ E Z      error of dβ_ij ≤ E Σ_n |t_ni x_nj|      error of dx_nj ≤ E Σ_i |t_ni β_ij|

    K is the least with E max(1, Z) below 8 ε of the dtype (1e-6 in float32). r is max |β| max |x|, or if that takes too
    many terms the largest product of a column's maxima. Taylor's series (d = 1) has r^K / (1 − r) in the place of E,
    about 2^{K−1} times as much: for n ≤ 256 it takes one term more.

    PRODUCTS (synapse_products.py), if the series would take more terms than it is worth, or if P comes out so large or
    small that log P cannot be rounded without harm. The factors of three columns are
    multiplied by one matrix product of rank 8; no logarithm, and nothing cancels near β x = 1.

    BLOCKS (synapse_blocks.py), for those units i that the second way cannot hold accurately, as its bound tells from β
    and the columns' maxima: factors that may be 0, negative or, with β > 1, near 0. The plain layer, block by block.
    """

    draws_masks = False

    def __init__(self, layer):
        self.layer = layer
        self.params = layer.params

    def takes_few_terms(self, x, beta):
        """Whether the series takes less time than loops in C over all factors (c/synapse.py)."""
        if len(beta) < WIDE:
            return False
        d = synapse_series.plan_series(x, beta)
        return d is not None and len(d) <= FEW_TERMS

    # What underflows is 0, which is what it adds; saturation is the purpose of the clipping.
    @np.errstate(over="ignore", under="ignore")
    def forward(self, x, train=False):
        self.layer.check_input(x, "N", self.layer.features)
        alpha, beta = self.layer.coefficients()
        d, P, powers, held = synapse_series.plan_series(x, beta), None, None, None
        if d is not None:
            P, powers = synapse_series.forward(x, beta, d)
        if P is None:
            held = synapse_products.fits(x, beta)
            P = np.empty((len(x), len(beta)), x.dtype)
            for units, way in ((held, synapse_products), (~held, synapse_blocks)):
                if units.all():
                    P = way.forward(x, beta)
                elif units.any():
                    P[:, units] = way.forward(x, beta[units])
        y = x * P
        y *= alpha
        return y, (x, P, d, powers, held)

    @np.errstate(over="ignore", under="ignore")
    def backward(self, dy, cache):
        x, P, d, powers, held = cache
        alpha, beta = self.layer.coefficients()
        dx = dy * P
        dalpha = np.einsum("ni,ni->i", dx, x)
        dx *= alpha
        if held is None or held.all():
            t, scale = scaled(dx * x)
            if held is None:
                sums, dbeta = synapse_series.backward(x, beta, t, d, powers)
            else:
                sums, dbeta = synapse_products.backward(x, beta, t)
            dbeta *= -scale
            sums *= scale
            dx -= sums
            return dx, self.layer.gradients(dalpha, dbeta)
        dbeta, rest = np.empty_like(beta), ~held
        if held.any():
            t, scale = scaled((dx * x)[:, held])
            sums, dbeta_held = synapse_products.backward(x, beta[held], t)
            dbeta[held] = dbeta_held * -scale
            sums *= scale
            dx -= sums
        through_factors, dbeta[rest] = synapse_blocks.backward(dy[:, rest], x, alpha[rest], beta[rest], x[:, rest])
        dx += through_factors
        return dx, self.layer.gradients(dalpha, dbeta)


def scaled(t):
    """(t / s, s), s a power of two near max |t|, without what is 1e-20 times smaller.

    y falls off exponentially with n. Where it comes near the smallest floats, t does too, and arithmetic with subnormal
    numbers takes ten times as long and more.
    """
    s = float(np.abs(t).max(initial=0))
    if not 0 < s < np.inf:
        return t, 1.0
    s = 2.0 ** (math.frexp(s)[1] - 1)
    t = t / t.dtype.type(s)
    t[np.abs(t) < 1e-20] = 0
    return t, s
