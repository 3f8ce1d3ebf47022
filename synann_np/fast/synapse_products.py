"""The synapse layer with all its factors, three columns at a time, as matrix products without cancellation.

Let w = 1 − x and b = 1 − β. Then

    q_nij = 1 − β_ij x_nj = w_nj + x_nj b_ij

is a sum of non-negative numbers for x in [0, 1], β ≤ 1: where 1 − β x loses digits as β x comes near 1, this does not.
Three columns j = 1, 2, 3 are a group. The product of their factors is a sum over the subsets T of the group,

    G_ni = q_n1 q_n2 q_n3 = Σ_T left_nT right_Ti      left_nT = ∏_{j∈T} x_nj ∏_{j∉T} w_nj,   right_Ti = ∏_{j∈T} b_ij

a matrix product of rank 8, again of non-negative numbers. P_ni is the product of all G_ni.

Backward. t_ni is given, R_ni = t_ni / G_ni: one division for three columns. With the others u, v of column j

    t_ni / q_nij = R_ni q_niu q_niv       q_niu q_niv = Σ_{S⊆{u,v}} others_nS rest_Si

where others and rest are to u, v what left and right are to all three. So

    Σ_i t_ni β_ij / q_nij = Σ_S others_nS (Σ_i R_ni β_ij rest_Si)      products of rank 4 each for j = 1, 2, 3
    Σ_n t_ni x_nj / q_nij = Σ_S rest_Si (Σ_n R_ni x_nj others_nS)      x_nj others_nS = left_nT, T = S ∪ {j}: rank 8

Range. A factor is 0 only if β = x = 1, otherwise at least ε/4: the smallest step of w and b is ε/2, and `fits` allows a
β > 1 to take away a part of w. So G of three neither underflows nor divides badly. P is accumulated in float64 and its
exponent kept apart where that could leave the range.

Rounding. Errors of w and b are independent as a rule and grow with √n. Where β is one number everywhere, that of b is
the same in all factors and grows with n: in float32 1.1e-5 of P was seen at n = 256, β = −0.05, x = 1.

Time: a rank of 8 forward and 28 backward for three columns: 12 N n² multiplications, a third of N n² divisions.
Memory: a few arrays of N n, some MiB.
"""

import math

import numpy as np

SMALL = 10**6  # m n k up to which OpenBLAS multiplies without packing: beyond, these products take twice as long
ROWS = 128  # of x at a time
IN_CACHE = 2**18  # elements of G at a time
LEAST_BETA = -64.0  # keeps G and 1/G far from the ends of float32
OTHERS = ((1, 0, 0), (2, 2, 1))  # the two other columns u, v of each of three

# T is a number of three bits, the first column the highest. S ∪ {j} by S (down) and j (across):
WITH_OWN = np.array([[0b100, 0b010, 0b001], [0b101, 0b011, 0b011], [0b110, 0b110, 0b101], [0b111, 0b111, 0b111]])


def fits(x, beta):
    """Which units i this form holds accurately and without a factor of 0, boolean (units,).

    For β > 1, b is negative and G a sum of both signs. The sum of the sizes, w + x |b| = 1 − x (2 − β), is to be at
    most twice the factor itself, 1 − β x, that is 3 β x ≤ 1 + 2 x; it is tightest at the largest x of a column.
    """
    if not (x.min(initial=0) >= 0 and x.max(initial=0) <= 1):  # also if there is a NaN
        return np.zeros(len(beta), bool)
    most = x.max(axis=0, initial=0)
    if beta.min(initial=0) >= LEAST_BETA and beta.max(initial=0) < 1:
        return np.ones(len(beta), bool)
    with np.errstate(over="ignore", invalid="ignore"):
        beta_x = beta * most
        held = (beta >= LEAST_BETA) & (beta_x < 1) & ((beta <= 1) | (3 * beta_x <= 1 + 2 * most))
    return held.all(axis=1)


def forward(x, beta):
    """∏_j (1 − β_ij x_nj), (N, units)."""
    left = subset_products(groups_of(x)[1])
    P = np.empty((len(x), len(beta)), x.dtype)
    largest = math.sqrt(np.finfo(x.dtype).max)  # where the plain layer saturates
    together, unchecked = paces(x, beta)
    for rows, units in blocks(len(x), len(beta)):
        total, exponent = np.ones((rows.stop - rows.start, units.stop - units.start)), 0
        store = np.empty((together, *total.shape), x.dtype)
        for g in range(0, len(left), 4 * together):
            right = subset_products(groups_of(beta[units, 3 * g : 3 * (g + 4 * together)], of_beta=True)[1])
            for k in range(0, len(right), together):
                some = right[k : k + together]
                L = left[g + k : g + k + len(some), :, rows].transpose(0, 2, 1)
                product, *others = np.matmul(L, some, out=store[: len(some)])
                for G in others:
                    product *= G
                total *= product
                if (g + k) // together % unchecked == 0 and not (2.0**-500 < total.min() <= total.max() < 2.0**500):
                    total, shift = np.frexp(total)
                    exponent = exponent + shift
        P[rows, units] = np.minimum(np.ldexp(total, exponent), largest)
    return P


def backward(x, beta, t):
    """Σ_i t_ni β_ij / q_nij, (N, n), and Σ_n t_ni x_nj / q_nij, (units, n)."""
    n = x.shape[1]
    own, two = groups_of(x)
    left, others = subset_products(two), products_of_others(two)
    sums, dbeta = np.zeros_like(own), np.zeros_like(beta)
    for rows, units in blocks(len(x), len(beta)):
        t_block = np.ascontiguousarray(t[rows, units])
        count = max(1, IN_CACHE // t_block.size)
        for g in range(0, len(left), count):
            part, columns = slice(g, g + count), slice(3 * g, 3 * (g + count))
            beta_g, two = groups_of(beta[units, columns], of_beta=True)
            L, rest = left[part, :, rows], products_of_others(two)
            R = L.transpose(0, 2, 1) @ subset_products(two)
            np.divide(t_block, R, out=R)
            by_unit = np.take(L @ R, WITH_OWN.ravel(), axis=1)
            by_unit *= rest
            by_unit = by_unit.reshape(len(R), 4, 3, -1).sum(axis=1).reshape(3 * len(R), -1)
            dbeta[units, columns] += by_unit[: min(n, columns.stop) - columns.start].T
            rest.reshape(len(R), 4, 3, -1)[...] *= beta_g[:, None]
            by_row = np.empty((len(R), 12, len(t_block)), x.dtype)
            for few in (slice(0, 8), slice(8, 12)):  # OpenBLAS is 2.5 times slower with 12 rows at once
                np.matmul(rest[:, few], R.transpose(0, 2, 1), out=by_row[:, few])
            by_row *= others[part, :, rows]
            sums[part, :, rows] += by_row.reshape(len(R), 4, 3, -1).sum(axis=1)
    return np.ascontiguousarray(sums.reshape(-1, len(x))[:n].T), dbeta


def groups_of(a, of_beta=False):
    """a (rows, n) as (groups, 3, rows), and its two numbers for a column outside and inside T, (groups, 2, 3, rows): w
    and x, or 1 and b. Columns beyond n are 0: their factor is 1.
    """
    rows, n = a.shape
    own = np.zeros((-(-n // 3), 3, rows), a.dtype)
    own.reshape(-1, rows)[:n] = a.T
    two = np.empty((len(own), 2, 3, rows), a.dtype)
    two[:, 0] = 1 if of_beta else 1 - own
    two[:, 1] = 1 - own if of_beta else own
    return own, two


def subset_products(two):
    """left or right, (groups, 8, rows). What is below 1e-30 is 0: subnormal numbers are slow."""
    products = two[:, :, None, 0] * two[:, None, :, 1]
    products = products[:, :, :, None] * two[:, None, None, :, 2]
    if two[:, 1].min(initial=1) < 1e-10:
        products[np.abs(products) < 1e-30] = 0
    return products.reshape(len(two), 8, -1)


def products_of_others(two):
    """others or rest, (groups, 12, rows), in the order of WITH_OWN."""
    u, v = OTHERS
    return (two[:, :, None, u] * two[:, None, :, v]).reshape(len(two), 12, -1)


def paces(x, beta):
    """How many G can be multiplied in the dtype of x, and how many of those products in float64, without a look at
    their size: 2^±120 and 2^±500.
    """
    most = float(x.max(initial=0))
    low = max(float(np.finfo(x.dtype).eps) / 4, 1 - float(beta.max(initial=0)) * most)
    high = 1 - float(beta.min(initial=0)) * most
    bits = 3 * max(-math.log2(low), math.log2(high)) + 1e-3
    together = max(1, min(6, int(120 / bits)))
    return together, max(1, int(500 / (bits * together)))


def blocks(N, units):
    """(slice of rows, slice of units): products of rank 8 of at most SMALL multiplications."""
    width = max(16, SMALL // (8 * min(max(N, 1), ROWS)) // 16 * 16)
    width = max(1, -(-units // max(1, -(-units // width))))
    starts = [(r, u) for r in range(0, N, ROWS) for u in range(0, units, width)]
    return [(slice(r, min(r + ROWS, N)), slice(u, min(u + width, units))) for r, u in starts]
