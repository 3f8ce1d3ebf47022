"""Surprisal space: probabilities as u = −log x, in which the synapse is a sum.

I(x) = −log x is the surprisal (self-information, in nats) of an event of probability x; [0, 1] becomes [0, ∞] and
products become sums. With u = I(x), v = I(y), θ = I(α), γ = I(β) the synapse S = α x (1 − β y) becomes

    LS(u, v; θ, γ) = I(S) = θ + u + G(γ + v),     G(z) = −log(1 − e^−z)

because β y = e^−(γ+v). G is what F(x) = 1 − x, "not open", becomes in surprisal space, G = I ∘ F ∘ I⁻¹:

          F
      x ────▶ 1 − x
    I │         │ I          the diagram commutes, and G is its own inverse because F is
      ▼    G    ▼
      u ────▶ G(u)

Source: Chang Li, "SynaNN: A Synaptic Neural Network and Synapse Learning" (2018).

All functions take arrays of any shapes that broadcast, on either backend; where one is an array, the others may be
Python numbers. The dtype is theirs: float32 stays float32. The ends are exact: I(0) = G(0) = ∞, G(∞) = 0. Outside the
domains (x in [0, 1], u and z ≥ 0) nothing is checked, which would wait for a device; where a logarithm of a negative
number is asked for, the answer is NaN. A Python number where an array is needed raises TypeError, shapes that do not
broadcast ValueError.
"""

import math
from typing import Any

import numpy as np

from ..backend import Array, array_module
from .derivative_arrays import gradient_array, hessian_array

# The poles at the ends are meant (divide), and so is what under- or overflows next to them. NaN still warns.
_ends = np.errstate(divide="ignore", over="ignore", under="ignore")


@_ends
def surprisal(x: Array) -> Array:
    """I(x) = −log x, in nats; x in [0, 1]. I(1) = 0, I(0) = ∞."""
    return 0 - array_module(x).log(x)  # −log 1 would be −0, and 1 / (e^−0 − 1) = −∞


@_ends
def probability(u: Array) -> Array:
    """I⁻¹(u) = e^−u, the inverse of surprisal; u in [0, ∞]."""
    return array_module(u).exp(-u)


@_ends
def conjugate_complement(z: Array) -> Array:
    """G(z) = −log(1 − e^−z), the complement 1 − x as surprisals see it; z in [0, ∞]. G(G(z)) = z, G(log 2) = log 2.

    For z < log 2, 1 − e^−z loses digits and expm1 does not; for z > log 2 the logarithm is near log 1 and log1p keeps
    the digits (Mächler, "Accurately computing log(1 − exp(−|a|))", 2012).
    """
    xp = array_module(z)
    return xp.where(z < math.log(2), 0 - xp.log(-xp.expm1(-z)), 0 - xp.log1p(-xp.exp(-z)))


@_ends
def bose_einstein(z: Array) -> Array:
    """n(z) = 1 / (e^z − 1), mean number of bosons in a state of energy z above the chemical potential, z in units of
    kT; z in [0, ∞]. n(0) = ∞.

    With it, G′(z) = −e^−z / (1 − e^−z) = −n(z) and G″(z) = −n′(z) = e^z / (e^z − 1)² = n (1 + n); so every higher
    derivative of G is a polynomial in n. Written with e^−z, which underflows where e^z would overflow.
    """
    xp = array_module(z)
    return xp.exp(-z) / -xp.expm1(-z)


@_ends
def surprisal_synapse(u: Array, v: Array, theta: Array = 0.0, gamma: Array = 0.0) -> Array:
    """LS(u, v; θ, γ) = θ + u + G(γ + v) = I(S(x, y; α, β)), of the broadcast shape.

    u, v ≥ 0; θ any (α = e^−θ); γ ≥ 0 (β = e^−γ). γ + v must be an array.
    """
    return theta + u + conjugate_complement(gamma + v)


@_ends
def surprisal_synapse_gradient(u: Array, v: Array, theta: Array = 0.0, gamma: Array = 0.0) -> Array:
    """∂LS/∂p_k for p = (u, v, θ, γ): (..., 4), namely (1, −n, 1, −n) with n = bose_einstein(γ + v).

    ∂LS/∂γ = −1 / (e^{γ+v} − 1) is the negative Bose–Einstein distribution of energy v and chemical potential −γ.
    """
    n = bose_einstein(gamma + v)
    return gradient_array((u, v, theta, gamma), (1, -n, 1, -n))


@_ends
def surprisal_synapse_hessian(u: Array, v: Array, theta: Array = 0.0, gamma: Array = 0.0) -> Array:
    """∂²LS/∂p_k ∂p_l for p = (u, v, θ, γ): (..., 4, 4). All four entries of v and γ are n (1 + n) > 0, the others 0:
    LS is convex, so log S is concave in surprisals, too."""
    n = bose_einstein(gamma + v)
    curvature = n * (1 + n)
    return hessian_array((u, v, theta, gamma), {(1, 1): curvature, (1, 3): curvature, (3, 3): curvature})


@_ends
def surprisal_graph(u: Array, v: Array, theta: Array, gamma: Array) -> tuple[Array, Any]:
    """The synapse graph y_i = α_i x_i ∏_j (1 − β_ij s_j) for surprisals:

        w_ni = θ_i + u_ni + Σ_j G(γ_ij + v_nj)

    Arguments:
        u (N, n): surprisals of the excitatory inputs, u = I(x).
        v (N, m): of the inhibitory inputs, v = I(s). The fully connected layer is the case v = u.
        theta (n,), gamma (n, m): α = e^−θ, β = e^−γ.

    Returns: w (N, n) = I(y); cache for surprisal_graph_backward. Memory: arrays of N n m elements.
    """
    z = gamma + v[:, None, :]  # (N, i, j)
    return theta + u + conjugate_complement(z).sum(axis=-1), z


@_ends
def surprisal_graph_backward(dw: Array, cache: Any) -> Any:
    """Gradients of a loss with the gradient dw (N, n) with respect to w.

    Since ∂w_ni/∂u_nk = ∂w_ni/∂θ_k = δ_ik and, with n_nij = bose_einstein(γ_ij + v_nj), ∂w_ni/∂γ_kj = −δ_ik n_nij and
    ∂w_ni/∂v_nj = −n_nij,

        du_ni = dw_ni    dv_nj = −Σ_i dw_ni n_nij    dθ_i = Σ_n dw_ni    dγ_ij = −Σ_n dw_ni n_nij

    A probability of 1 under β = 1 (γ + v = 0) is the pole of G, where the gradient is infinite.

    Returns: du (N, n), dv (N, m), dtheta (n,), dgamma (n, m). Where v = u, the gradient is du + dv.
    """
    pull = dw[:, :, None] * bose_einstein(cache)  # (N, i, j)
    return dw.copy(), -pull.sum(axis=1), dw.sum(axis=0), -pull.sum(axis=0)
