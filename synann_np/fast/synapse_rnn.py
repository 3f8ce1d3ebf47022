"""The recurrent synapse layer as matrix products, without the N H² factors of a step."""

import numpy as np

from ..layers.logistic import logistic
from . import synapse_products

MOST_TERMS = 12  # beyond, the products of all factors are faster (measured at 64 units, batch 100)


class FastSynapseRNN:
    """What layers.SynapseRNN computes; it shares its parameters.

    The plain layer forms N H² factors a step. With c_j the middle of what state j of this step is in the batch, and
    x_nj = h_nj − c_j, a factor is

        1 − β_ij h_nj = (1 − β_ij c_j) (1 − b_ij x_nj)        b_ij = β_ij / (1 − β_ij c_j)

    and z = b_ij x_nj is small: it is 0 where a state is the same in all rows. The logarithm of the second factor is
    − Σ_k zᵏ/k, and zᵏ = b_ijᵏ x_njᵏ separates. With the powers of x below each other and those of b side by side,

        log P_ni = Σ_j log(1 − β_ij c_j) − ([b, b²/2, ..., bᴷ/K] [x; x²; ...; xᴷ])_in        (H, K H) times (K H, N)

    so that a step is one product, large enough for BLAS. States are kept as (H, N): then everything is contiguous.

    Backward, with t_in = dS_ni S_ni = ∂L/∂log P_ni, B = [b, b², ..., bᴷ], and since 1/(1 − z) = Σ_{k≥0} zᵏ,

        dh_nj −= Σ_i t_in b_ij / (1 − z) = Σ_k x_njᵏ⁻¹ (Bᵀ t)_kj,n
        dβ_ij −= Σ_n t_in h_nj / (1 − β_ij h_nj) = (E_ij + c_j (m_i + b_ij E_ij)) / (1 − β_ij c_j)
            with m_i = Σ_n t_in and E_ij = Σ_n t_in x_nj / (1 − z) = Σ_k b_ijᵏ⁻¹ (t [x; x²; ...; xᴷ]ᵀ)_i,kj

    both sums over k by Horner's rule.

    How many terms. Let r = max_ij |b_ij| max_n |x_nj|. Cut after K terms,

        |error of log P| ≤ Σ_j Σ_k>K |z|ᵏ/k ≤ H rᴷ⁺¹ / ((K + 1)(1 − r))
        relative error of 1/(1 − z) ≤ rᴷ                      as (1 − z) Σ_k<K zᵏ = 1 − zᴷ

    K is the least with both below 8 ε of the dtype (1e-6 in float32). Where it would exceed MOST_TERMS, or some
    1 − β_ij c_j is not positive, the step takes all factors as matrix products of rank 8 (synapse_products.py), and if
    that is not accurate either, the whole batch goes to the plain layer.
    """

    def __init__(self, layer):
        self.layer = layer

    @property
    def params(self):
        return self.layer.params

    # Powers of small numbers may underflow to 0, which is what they add.
    @np.errstate(under="ignore")
    def forward(self, x, train=False):
        layer = self.layer
        steps = layer.steps_of(x)
        T, N, H = len(steps), steps.shape[1], layer.hidden_size
        alpha, beta = layer.graph().coefficients()
        g = _column(layer.leaking_rate()[0])
        u = layer.params["weight"] @ np.ascontiguousarray(steps.swapaxes(1, 2))
        e, de_du = logistic(u + layer.params["bias"][:, None])  # (T, H, N)
        h, states, caches = np.zeros((H, N), x.dtype), [], []
        for t in range(T):
            way = Series.of(beta, h) or Products.of(beta, h)
            if way is None:
                y, cache = layer.forward(x, train)
                return y, (None, cache)
            P = way.product()
            S = alpha[:, None] * e[t] * P
            caches.append((h, S, P, way))
            h = (1 - g) * h + g * S
            states.append(h)
        y = np.stack(states).transpose(2, 0, 1) if layer.return_sequences else np.ascontiguousarray(h.T)
        return y, (steps, (e, de_du, caches))

    @np.errstate(under="ignore")
    def backward(self, dy, cache):
        layer, (x, cache) = self.layer, cache
        if x is None:
            return layer.backward(dy, cache)
        e, de_du, caches = cache
        T, graph = len(x), layer.graph()
        alpha, beta = graph.coefficients()
        g, dg_dlogit = layer.leaking_rate()
        g = _column(g)
        de, dbeta = np.empty_like(e), np.zeros_like(beta)
        dalpha, dg, sent_back, dy = 0, 0, 0, dy.T  # (H, N) or (H, T, N)
        for t in reversed(range(T)):
            h_before, S, P, way = caches[t]
            dh = layer.output_gradient(dy, t, T) + sent_back
            dS = dh * g
            dS_P = dS * P
            de[t] = alpha[:, None] * dS_P
            dalpha = dalpha + (dS_P * e[t]).sum(axis=1)
            dg = dg + (dh * (S - h_before)).sum(axis=1)
            dv, dbeta_t = way.gradients(dS * S)
            dbeta += dbeta_t
            sent_back = 0 if layer.is_cut(t, T) else dh * (1 - g) + dv
        du = de * de_du  # (T, H, N)
        grads = {"weight": np.einsum("thn,tnj->hj", du, x, optimize=True), "bias": du.sum(axis=(0, 2))}
        grads |= graph.gradients(dalpha, dbeta)
        if "leak_logit" in layer.params:
            grads["leak_logit"] = dg * dg_dlogit
        return np.matmul(du.transpose(2, 0, 1), layer.params["weight"]), grads


class Series:
    """∏_j (1 − β_ij h_nj) for one step, (H, N), and its gradients; formulas and names as in FastSynapseRNN."""

    @classmethod
    def of(cls, beta, h):
        """None where the series would not be accurate."""
        c = (h.max(axis=1, initial=0) + h.min(axis=1, initial=h.max(initial=0))) / 2
        at_c = 1 - beta * c
        if not at_c.min(initial=1) > 0:  # also if one is NaN
            return None
        x, b = h - c[:, None], beta / at_c
        r = float((np.abs(b).max(axis=0, initial=0) * np.abs(x).max(axis=1, initial=0)).max(initial=0))
        K = terms(r, len(beta), 8 * float(np.finfo(h.dtype).eps))
        return None if K is None else cls(c, at_c, powers_of(b, K, axis=1), powers_of(x, K, axis=0))

    def __init__(self, c, at_c, powers_of_b, powers_of_x):
        self.c, self.at_c, self.powers_of_x = c, at_c, powers_of_x
        self.powers_of_b = powers_of_b

    def product(self):
        H = len(self.c)
        k = np.arange(1, len(self.powers_of_x) // H + 1, dtype=self.c.dtype)
        log_P = np.log(self.at_c).sum(axis=1)[:, None] - (self.powers_of_b / k.repeat(H)) @ self.powers_of_x
        return np.exp(log_P)

    def gradients(self, t):
        """dh (H, N) and dβ (H, H) from t (H, N)."""
        H, N = t.shape
        b, x = self.powers_of_b[:, :H], self.powers_of_x[:H]
        dh = horner(x, (self.powers_of_b.T @ t).reshape(-1, H, N))
        E = horner(b, (t @ self.powers_of_x.T).reshape(H, -1, H).swapaxes(0, 1))
        return -dh, -(E + self.c * (t.sum(axis=1)[:, None] + b * E)) / self.at_c


class Products:
    """As Series, for any β and h that synapse_products.py holds accurately."""

    @classmethod
    def of(cls, beta, h):
        """None where they would not be accurate."""
        rows = np.ascontiguousarray(h.T)
        return cls(rows, beta) if synapse_products.fits(rows, beta).all() else None

    def __init__(self, h, beta):
        self.h, self.beta = h, beta

    def product(self):
        return np.ascontiguousarray(synapse_products.forward(self.h, self.beta).T)

    def gradients(self, t):
        """dh (H, N) and dβ (H, H) from t (H, N)."""
        sums, dbeta = synapse_products.backward(self.h, self.beta, t.T)
        return -sums.T, -dbeta


def _column(g):
    return g[:, None] if np.ndim(g) else g


def terms(r, H, tolerance):
    """The least K ≤ MOST_TERMS that keeps both errors below the tolerance, or None."""
    errors = ((K, r**K, H * r ** (K + 1) / ((K + 1) * (1 - r))) for K in range(1, MOST_TERMS + 1))
    enough = (K for K, relative, absolute in errors if relative <= tolerance and absolute <= tolerance)
    return next(enough, None) if r < 1 else None  # not if r is NaN


def powers_of(a, K, axis):
    """a, a², ..., aᴷ next to each other along an axis. What is below 1e-30 is 0: subnormal numbers are slow."""
    powers = np.empty((*a.shape[:axis], K, *a.shape[axis:]), a.dtype)
    one_by_one = np.moveaxis(powers, axis, 0)
    one_by_one[0] = a
    for k in range(1, K):
        np.multiply(one_by_one[k - 1], a, out=one_by_one[k])
    powers[np.abs(powers) < 1e-30] = 0
    return powers.reshape(-1, a.shape[1]) if axis == 0 else powers.reshape(len(a), -1)


def horner(a, coefficients):
    """Σ_k aᵏ⁻¹ c_k."""
    total = coefficients[-1].copy()
    for c in coefficients[-2::-1]:
        total *= a
        total += c
    return total
