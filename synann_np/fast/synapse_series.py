"""The synapse layer as a Chebyshev series of matrix products: how many terms it needs, and their sums."""

import functools
import math

import numpy as np

MOST_TERMS = 9  # beyond, all factors as matrix products are about as fast (synapse_products.py)
MOST_LOG = 12.0  # of log P: in float32 each of it costs an error of up to 7e-7 in P (n = 1024)


def plan_series(x, beta):
    """Coefficients d_0 .. d_{K−1}, of the dtype of x, or None if the series would not pay or not be accurate."""
    tolerance = 8 * float(np.finfo(x.dtype).eps)
    b, size = largest(beta), np.abs(x)
    weight = b * float(size.sum(axis=1).max(initial=0))
    for r in (b * float(size.max(initial=0)), None):
        if r is None:  # column by column: never larger, but it reads β once more
            r = float((largest(beta, axis=0) * size.max(axis=0, initial=0)).max(initial=0))
        r = above(r)
        K = terms(r, weight, tolerance)
        if K is not None:
            return chebyshev(r, K).astype(x.dtype)
        if not b < 8:
            break
    return None


def largest(a, axis=None):
    """max |a|, without an array of |a|."""
    most = np.maximum(a.max(axis=axis, initial=0), -a.min(axis=axis, initial=0))
    return most if axis is not None else float(most)


def above(r):
    """r < 1 rounded up to a power of 2^(1/8) (or half-way to 1), so that the steps of a training share coefficients."""
    if not 1e-30 < r < 1:
        return 1e-30 if r <= 1e-30 else r
    return min(2.0 ** (math.floor(8 * math.log2(r) + 1) / 8), (1 + r) / 2)


def terms(r, weight, tolerance):
    """The least K ≤ MOST_TERMS with E(r, K) · max(1, weight) ≤ tolerance, or None. weight: Z of FastSynapse."""
    if not (r < 1 and weight < math.inf and error(r, MOST_TERMS) <= tolerance):  # also if one is NaN
        return None
    K = 1
    while K <= MOST_TERMS and not error(r, K) * max(1.0, weight) <= tolerance:
        K += 1
    return K if K <= MOST_TERMS else None


def error(r, K):
    """E(r, K) of FastSynapse, 0 < r < 1."""
    c = math.sqrt(1 - r * r)
    rho = (1 + c) / r
    return 2 * rho ** (1 - K) / ((rho - 1) * c)


@functools.lru_cache(maxsize=256)
def chebyshev(r, K):
    """d_0 .. d_{K−1} with Σ_m d_m zᵐ ≈ 1 / (1 − z) on [−r, r], float64 (read only)."""
    c = math.sqrt(1 - r * r)
    rho = (1 + c) / r
    a = 2 / c * rho ** -np.arange(K, dtype="float64")
    a[0] /= 2
    d = np.zeros(K)
    in_powers = np.polynomial.chebyshev.cheb2poly(a)
    d[: len(in_powers)] = in_powers
    d /= r ** np.arange(K)
    d.flags.writeable = False
    return d


def forward(x, beta, d):
    """∏_j (1 − β_ij x_nj), (N, n), and the powers of x that backward wants back; None and None if a |log P| is so large
    that its rounding is not accurate enough.
    """
    powers, products = powers_of(x, len(d)), []
    for k, (xk, beta_k) in enumerate(zip(powers, powers_in_turn(beta), strict=False), start=1):
        product = xk @ beta_k.T
        product *= -d[k - 1] / k
        products.append(product)
    log_P = products.pop()
    while products:  # from the smallest terms to the largest
        log_P += products.pop()
    if largest(log_P) > MOST_LOG:
        return None, None
    return np.exp(log_P, out=log_P), powers


def backward(x, beta, t, d, powers):
    """Σ_i t_ni β_ij g(β_ij x_nj), (N, n), and Σ_n t_ni x_nj g(β_ij x_nj), (n, n), by Horner's rule."""
    dbeta = t.T @ (powers[-1] * d[-1])
    for xk, dk in zip(powers[-2::-1], d[-2::-1], strict=True):
        dbeta *= beta
        dbeta += t.T @ (xk * dk)
    products = []
    for dk, beta_k in zip(d, powers_in_turn(beta), strict=False):
        product = t @ beta_k
        product *= dk
        products.append(product)
    sums = products.pop()
    while products:
        sums *= x
        sums += products.pop()
    return sums, dbeta


def powers_of(x, K):
    """[x, x², ..., x^K]. What is below 1e-30 is 0: it adds nothing, and subnormal numbers are slow."""
    powers = [x]
    for _ in range(K - 1):
        xk = powers[-1] * x
        xk[np.abs(xk) < 1e-30] = 0
        powers.append(xk)
    return powers


def powers_in_turn(beta):
    """β, β², β³, ...: all but the first in one array."""
    yield beta
    beta_k = beta * beta
    while True:
        yield beta_k
        beta_k *= beta
