"""The synapse layer with all its factors, block by block: as accurate as the plain layer, in little memory."""

import numpy as np

BLOCK = 2**16  # factors at a time: they stay in the cache of a core


def forward_by_blocks(layer, x):
    """P_ni = ∏_j (1 − β_ij x_nj), (N, n), and what backward_by_blocks wants back.

    For x in [0, 1], β ≤ 1 and |β x| < 1: there every factor is at least about half an ε and at most 2, so no product of
    four can over- or underflow, and one logarithm does for four factors. Everything else goes to the plain layer, a few
    rows at a time.

    The factors are computed as q = (1 − x) + x (1 − β): two terms of one sign for x in [0, 1], β ≤ 1, where 1 − β x
    loses digits as β x comes near 1.
    """
    _, beta = layer.coefficients()
    n = len(beta)
    in_range = beta.max(initial=0) <= 1 and x.min(initial=0) >= 0 and x.max(initial=0) <= 1
    if not (in_range and np.abs(beta).max(initial=0) * x.max(initial=0) < 1):
        caches = [layer.forward(x[rows])[1] for rows in row_blocks(len(x), n)]
        P = np.concatenate([P for _, _, P, *_ in caches]) if caches else np.empty_like(x)
        return P, "plain"
    one_minus_beta = 1 - beta
    log_P = np.empty_like(x)
    for rows, units in blocks(len(x), n):
        q = factors(one_minus_beta[units], x[rows])
        whole = n - n % 4
        of_four = q[:, :, :whole].reshape(*q.shape[:2], 4, -1).prod(axis=2)
        log_P[rows, units] = np.log(of_four).sum(axis=2) + np.log(q[:, :, whole:]).sum(axis=2)
    return np.exp(log_P), "blocks"


def backward_by_blocks(layer, dy, x, P, method):
    """dx and grads as layer.backward."""
    alpha, beta = layer.coefficients()
    n = len(beta)
    if method == "plain":
        parts = []
        for rows in row_blocks(len(x), n):
            _, cache = layer.forward(x[rows])
            parts.append(layer.backward(dy[rows], cache))
        grads = {name: sum(grads[name] for _, grads in parts) for name in layer.params}
        return np.concatenate([dx for dx, _ in parts]), grads
    t, scale = scaled(dy * alpha * x * P)
    one_minus_beta = 1 - beta
    dbeta = np.zeros_like(beta)
    sums = np.zeros_like(x)
    for rows, units in blocks(len(x), n):
        q = factors(one_minus_beta[units], x[rows])
        t_over_q = np.divide(t[rows, units, None], q, out=q)
        sums[rows] += np.einsum("nij,ij->nj", t_over_q, beta[units])
        t_over_q *= x[rows, None, :]
        dbeta[units] -= t_over_q.sum(axis=0)
    sums *= scale
    dbeta *= scale
    return dy * alpha * P - sums, layer.gradients((dy * x * P).sum(axis=0), dbeta)


def scaled(t):
    """(t / s, s), s = max |t|, without what is 1e-20 times smaller.

    y falls off exponentially with n. Where it comes near the smallest floats, t does too, and arithmetic with subnormal
    numbers takes ten times as long and more.
    """
    s = np.abs(t).max(initial=0)
    if not 0 < s < np.inf:
        return t, 1.0
    t = t / s
    t[np.abs(t) < 1e-20] = 0
    return t, s


def factors(one_minus_beta, x):
    """q_nij = 1 − β_ij x_nj for a block of rows and units."""
    q = one_minus_beta * x[:, None, :]
    q += (1 - x)[:, None, :]
    return q


def blocks(N, n):
    """(slice of rows, slice of units) of about BLOCK factors each."""
    R, U = max(1, BLOCK // n**2), max(1, min(n, BLOCK // n))
    return [(slice(r, r + R), slice(u, u + U)) for r in range(0, N, R) for u in range(0, n, U)]


def row_blocks(N, n):
    """Slices of rows whose n² factors each make about 64 blocks: the plain layer holds several arrays of them."""
    step = max(1, 64 * BLOCK // n**2)
    return [slice(i, i + step) for i in range(0, N, step)]
