"""The likelihood of the gate, its gradient and its expected information.

The gate. Given the surprisals λ_j = −log(1 − β_j) of the causes, λ₀ = −log(1 − leak), δ_k = −log(1 − β_k) of the
preventers, the doses x_ij, z_ik and the exposure e_i,

    s_i = e_i λ₀ + Σ_j e_i x_ij λ_j        surprisal of "no cause fires", ∏ (1 − β_j)^x
    t_i = Σ_k z_ik δ_k                     surprisal of "nothing prevents it"
    p_i = (1 − e^(−s_i)) e^(−t_i)          probability of the event

and with the Bose-Einstein distribution n(z) = 1 / (e^z − 1) and G(z) = −log(1 − e^−z) = log(1 + n(z)) of surprisal.py
the surprisals of the event and of its absence are

    u_i = −log p_i = t_i + G(s_i),         −log(1 − p_i) = G(u_i)

Loss, w the weights, with ρ pseudo-people exposed to each factor alone and without the event (of a preventer: with the
event that it failed to prevent), β ~ Beta(1, ρ) up to a constant:

    L = Σ_i w_i [y_i u_i + (1 − y_i) G(u_i)] + ρ (Σ_j λ_j + Σ_k δ_k)

Gradient. G′ = −n, the negative Bose-Einstein distribution, so

    du_i = w_i (y_i − (1 − y_i) n(u_i))
    ds_i = −n(s_i) du_i,    dλ_j = Σ_i e_i x_ij ds_i + ρ,    dδ_k = Σ_i z_ik du_i + ρ

Case-control sampling. If cases are in the sample with probability f₁ and controls with f₀, r = f₁/f₀, the odds in the
sample are r times the odds, q = r p / (1 + (r − 1) p), and the loss gains, up to the constant y log r,

    C(u) = log(1 + (r − 1) e^−u),          du += w C′(u),   C′(u) = −(r − 1) p / (1 + (r − 1) p)

Without preventers u = G(s) and G(u) = s, since G is its own inverse: L = Σ w [y G(s) + (1 − y) s] + ..., convex in λ,
because G is. The people without the event enter only through Σ_i w_i e_i x_ij, a sum that is computed once: `linear`.
What remains is the people with the event.

Expected information. The log odds log(p / (1 − p)) have the derivative −(1 + n(u)) in u, and a Bernoulli variable has
the information q (1 − q) in its log odds; so a row has I_u = w q (1 − q) (1 + n(u))², and in (λ, δ), with
∂u/∂λ_j = −n(s) e x_j and ∂u/∂δ_k = z_k, the matrix Σ_i I_u (∂u/∂θ)(∂u/∂θ)ᵀ. Without sampling I_u = w n(u), and without
preventers, where n(u) = 1 / n(s), the information in s is w n(s): the loop of the Bose-Einstein distribution closes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..mathematics.surprisal import bose_einstein
from .terms import Terms

S_MOST = 500.0  # e^−s must not underflow: 1 / n(s) would be 0 · ∞
S_LEAST = 1e-300
BLOCK = 4096  # people at a time: their columns stay in the cache
BLOCK = 4096  # people at a time: what one pass reads is still in the cache for the next


@dataclass(frozen=True)
class Rows:
    """N people who all had the event, or all did not have it. exposure, weight: (N,)."""

    causes: Terms
    preventers: Terms
    exposure: np.ndarray
    weight: np.ndarray
    event: bool

    def surprisals(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """s, n(s) and u, (N,) each. s is kept within the range of float64."""
        M = self.causes.doses.shape[1]
        s = self.exposure * theta[0] + self.causes.surprisal(theta[1 : M + 1])
        n = bose_einstein(np.clip(s, S_LEAST, S_MOST))
        u = np.log1p(n)
        if self.preventers.doses.shape[1]:
            u += self.preventers.surprisal(theta[M + 1 :])
        return s, n, u


class Likelihood:
    """The penalised negative log-likelihood of parameters θ = (λ₀, λ_1..λ_M, δ_1..δ_K), float64.

    Arguments:
        causes, preventers: Terms of the N people. y: (N,) bool. weight, exposure: (N,) > 0.
        prior: ρ ≥ 0. leak_prior: as many pseudo-people exposed to nothing, with the event at the marginal rate.
        ratio: r = f₁/f₀ > 0.
    """

    def __init__(
        self, causes: Terms, preventers: Terms, y: np.ndarray, weight: np.ndarray, exposure: np.ndarray,
        prior: float = 0.0, leak_prior: float = 0.0, ratio: float = 1.0,
    ) -> None:  # fmt: skip
        M, K = causes.doses.shape[1], preventers.doses.shape[1]
        self.ratio, self.prior, self.leak_prior = ratio, float(prior), leak_prior
        self.rate = weight[y].sum() / weight.sum()
        self.linear, self.rows = np.zeros(1 + M + K), []
        for event in (True, False):
            chosen = np.flatnonzero(y == event)
            if not (event or K or ratio != 1 or len(causes.rows)):
                other = weight * ~y
                self.linear[:] = np.r_[other @ exposure, other @ causes.doses]
                break
            parts = causes.take(chosen), preventers.take(chosen), exposure[chosen], weight[chosen]
            self.rows.append(Rows(*parts, event))

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss with the prior, and its gradient (1 + M + K,)."""
        loss, gradient = self.data_loss(theta)
        loss += self.prior * float(theta[1:].sum())
        gradient[1:] += self.prior
        if self.leak_prior:
            leak = np.clip(theta[:1], S_LEAST, S_MOST)
            n = bose_einstein(leak)
            loss += self.leak_prior * float(self.rate * np.log1p(n[0]) + (1 - self.rate) * leak[0])
            gradient[0] += self.leak_prior * float(1 - self.rate - self.rate * n[0])
        return loss, gradient

    def data_loss(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss without the prior, and its gradient (1 + M + K,)."""
        loss, gradient = float(self.linear @ theta), self.linear.copy()
        for rows in self.rows:
            _, n, u = rows.surprisals(theta)
            n_u: Any = None if rows.event else bose_einstein(u)
            loss += float(rows.weight @ (u if rows.event else np.log1p(n_u)))
            du = rows.weight if rows.event else -rows.weight * n_u
            if self.ratio != 1:
                p = np.exp(-u)
                loss += float(rows.weight @ np.log1p((self.ratio - 1) * p))
                du = du - rows.weight * (self.ratio - 1) * p / (1 + (self.ratio - 1) * p)
            ds = -n * du
            M = rows.causes.doses.shape[1]
            gradient[0] += rows.exposure @ ds
            gradient[1 : M + 1] += rows.causes.pull(ds, theta[1 : M + 1])
            if len(theta) > M + 1:
                gradient[M + 1 :] += rows.preventers.pull(du, theta[M + 1 :])
        return loss, gradient

    def curvature(self, theta: np.ndarray) -> np.ndarray:
        """The second derivatives (P, P) of the loss, or an approximation without negative eigenvalues.

        Exact where the rows without the event enter linearly: then the curvature is Σ y w n (1 + n) e² x xᵀ. Otherwise
        the expected information.
        """
        H = np.zeros((len(theta), len(theta)))
        if self.leak_prior:
            n = bose_einstein(np.clip(theta[:1], S_LEAST, S_MOST))[0]
            H[0, 0] = self.leak_prior * self.rate * n * (1 + n)
        for rows in self.rows:
            if len(self.rows) == 1 and not len(rows.causes.rows):
                _, n, _ = rows.surprisals(theta)
                H += _gram(rows.exposure, rows.causes.doses, rows.weight * n * (1 + n))
            else:
                H += information(rows, theta, self.ratio)
        return H


@np.errstate(under="ignore")
def information(rows: Rows, theta: np.ndarray, ratio: float = 1.0) -> np.ndarray:
    """The Fisher information (P, P) of N people at θ, whatever their outcomes. ratio: as of Likelihood."""
    M = rows.causes.doses.shape[1]
    _, n, u = rows.surprisals(theta)
    p = np.exp(-u)
    q = ratio * p / (1 + (ratio - 1) * p)
    fired = -n[:, None] * rows.causes.derivatives(theta[1 : M + 1])
    slopes = np.c_[fired, rows.preventers.derivatives(theta[M + 1 :])]
    return _gram(-n * rows.exposure, slopes, rows.weight * q * (1 - q) * (1 + bose_einstein(u)) ** 2)


def _gram(first, others, weight):
    """Σ_i weight_i c_i c_iᵀ for the columns c = (first, others), exactly symmetric."""
    total = np.zeros((others.shape[1] + 1,) * 2)
    for start in range(0, len(first), BLOCK):
        block = slice(start, start + BLOCK)
        columns = np.c_[first[block], others[block]]
        columns *= np.sqrt(weight[block])[:, None]
        total += columns.T @ columns
    return total
