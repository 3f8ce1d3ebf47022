"""The synapse layer: a synapse graph, every unit inhibited by all of its inputs."""

import math
from functools import partial
from typing import Any

import numpy as np

from ..backend import Array, BackendLike, DTypeLike, Rng, array_module
from .base import Layer
from .synapse_parameters import CONSTANT, PARAMETRISATIONS, initial_beta, with_gain

GAINS = 1e-6, 1e6  # the least and the largest


# The clipping is meant to saturate, and what underflows is 0: neither deserves a warning.
@np.errstate(over="ignore", under="ignore")
def synapse_graph_forward(x: Array, v: Array, alpha: Array, beta: Array) -> tuple[Array, Any]:
    """y, cache of SynapseGraph, whose docstring derives both functions."""
    xp = array_module(x)
    q = 1 - beta * v[:, None, :]  # (N, i, j)
    zero = q == 0
    zeros = zero.sum(axis=-1)  # (N, i)
    q = xp.where(zero, 1, q)
    log_largest = math.log(xp.finfo(q.dtype).max) / 2
    R = xp.exp(xp.minimum(xp.log(xp.abs(q)).sum(axis=-1), log_largest))
    R = xp.where((q < 0).sum(axis=-1) % 2 == 1, -R, R)
    P = xp.where(zeros == 0, R, 0)
    return alpha * x * P, (x, v, P, R, q, zero, zeros, alpha, beta)


@np.errstate(over="ignore", under="ignore")
def synapse_graph_backward(dy: Array, cache: Any) -> tuple[Array, Array, Array, Array]:
    """dx, dv, dalpha, dbeta of SynapseGraph."""
    x, v, P, R, q, zero, zeros, alpha, beta = cache
    largest = math.sqrt(array_module(q).finfo(q.dtype).max)
    O = R[:, :, None] / q * (zeros[:, :, None] == zero)  # (N, i, j)
    c = ((dy * alpha * x)[:, :, None] * O).clip(-largest, largest)
    dalpha, dbeta = (dy * x * P).sum(axis=0), -(c * v[:, None, :]).sum(axis=0)
    dv = -(c * beta).clip(-largest, largest).sum(axis=1)
    return dy * alpha * P, dv, dalpha, dbeta


class SynapseGraph(Layer):
    """y_ni = α_i x_ni ∏_j (1 − β_ij v_nj)

    x (N, n), excitatory, and v (N, m), inhibitory: probabilities in [0, 1]; y (N, n); alpha (n,), starts at 1; beta
    (n, m), row i drives output i; n = features, m = inhibitors. Rows of a batch never mix. synapse_parameters.py
    has the other parametrisations, and the initial values.

    Forward, with q_nij = 1 − β_ij v_nj and P_ni = ∏_j q_nij:

        y_ni = α_i x_ni P_ni

    Backward. P depends on q_nij through ∂P_ni/∂q_nij = O_nij = ∏_{k≠j} q_nik, the product of the other factors. With
    c_nij = dy_ni α_i x_ni O_nij,

        dα_i  =   Σ_n dy_ni x_ni P_ni
        dβ_ij = − Σ_n c_nij v_nj          since ∂q_nij/∂β_ij = −v_nj
        dx_ni =   dy_ni α_i P_ni
        dv_nj = − Σ_i c_nij β_ij          since ∂q_nij/∂v_nj = −β_ij

    Where no factor is 0, O_nij = P_ni / q_nij, as the formula is usually written, and this is all. The rest is for β
    that are not kept below 1, where factors may be 0 or negative:

        R_ni  = ∏_{j: q_nij≠0} q_nij               the product of the factors that are not 0
        P_ni  = R_ni if no factor is 0, else 0
        O_nij = R_ni / q_nij                       if q_nij ≠ 0 and no factor is 0
              = R_ni                               if q_nij is the only factor that is 0
              = 0                                  otherwise, since another factor is 0

    The code replaces each q = 0 by 1, so R/q covers both cases. |R| is exp Σ_j log |q_nij|, and its sign follows from
    the number of negative factors: unlike a product, the sum cannot overflow or underflow half-way. Nothing divides by
    x or v or takes their logarithm, so inputs of 0 are exact.

    R and c are clipped to ±√(largest float): for every finite β, and x and v in [0, 1], y and all gradients are finite.

    Arguments: parametrisation: "free", "logistic" (0 < β < 1) or "surprisal" (α > 0 too). train_alpha: False makes
    alpha (or theta) a buffer, which stays as it is. beta_gain: k in 1e-6..1e6, which makes β
    learn faster (synapse_parameters.py).

    Memory: arrays of N n m elements. Raises: ValueError, TypeError if x or dy is not (N, n), v not (N, m), or one of
    them is not of the weights' dtype.
    """

    def __init__(
        self, features: int, inhibitors: int, parametrisation: str = "free", train_alpha: bool = True,
        beta_gain: float = 1.0, *, rng: Rng = None, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        config = {"features": features, "inhibitors": inhibitors, "parametrisation": parametrisation}
        super().__init__(dtype, backend, **config, train_alpha=train_alpha, beta_gain=beta_gain)
        n, m = self.features, self.inhibitors = self.integer("features"), self.integer("inhibitors")
        self.alpha, self.beta, _ = PARAMETRISATIONS[self.word("parametrisation", PARAMETRISATIONS)]  # (name, function)
        start = self.backend.xp.zeros if self.alpha[0] == "theta" else self.backend.xp.ones
        (self.params if self.flag("train_alpha") else self.buffers)[self.alpha[0]] = start(n, self.dtype)
        gain = self.number("beta_gain", *GAINS)
        beta = initial_beta(parametrisation, rng, n, m, gain)
        if gain != 1:
            self.beta = self.beta[0], partial(with_gain, self.beta[1], gain)
        self.params[self.beta[0]] = self.backend.asarray(beta, self.dtype)

    graph_forward = staticmethod(synapse_graph_forward)  # synann_np.fast puts faster ones of the same signature here
    graph_backward = staticmethod(synapse_graph_backward)

    def coefficients(self) -> tuple[Array, Array]:
        """alpha (n,), beta (n, m)."""
        return tuple(function(raw)[0] for raw, function in self._raw())

    @np.errstate(under="ignore")
    def gradients(self, dalpha: Array, dbeta: Array) -> dict[str, Array]:
        """dict of the gradients of params, from those of alpha and beta."""
        (alpha, alpha_of), (beta, beta_of) = self._raw()
        slopes = {self.alpha[0]: (dalpha, alpha_of(alpha)[1]), self.beta[0]: (dbeta, beta_of(beta)[1])}
        grads = {name: d if slope is CONSTANT else d * slope for name, (d, slope) in slopes.items()}
        return {name: grads[name] for name in self.params}

    def _raw(self):
        arrays = self.params | self.buffers
        return [(arrays[name], function) for name, function in (self.alpha, self.beta)]

    def forward(self, x: Array, v: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", self.features)
        self.check_input(v, len(x), self.inhibitors)
        return self.graph_forward(x, v, *self.coefficients())

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        """(dx, dv), grads"""
        self.check_gradient(dy, cache[0].shape)  # x
        dx, dv, dalpha, dbeta = self.graph_backward(dy, cache)
        return (dx, dv), self.gradients(dalpha, dbeta)


class Synapse(SynapseGraph):
    """y_ni = α_i x_ni ∏_j (1 − β_ij x_nj)                        (Li, 2018)

    The fully connected synapse graph, v = x: unit i is excited by its own input and inhibited by all of them. x reaches
    y along both paths, so backward returns the sum of the two gradients. beta (n, n), everything else as in
    SynapseGraph.

    zero_diagonal=True: no unit inhibits itself, β_ii = 0, as in the author's first network (Li, 2017). With the mask
    μ_ij = 1 − δ_ij, β_ij = μ_ij c(r_ij) of the raw number r_ij, so dr_ij = μ_ij dβ_ij c′(r_ij); r_ii is not used.
    """

    def __init__(
        self, features: int, parametrisation: str = "free", train_alpha: bool = True, zero_diagonal: bool = False,
        *, rng: Rng = None, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        super().__init__(features, features, parametrisation, train_alpha, rng=rng, dtype=dtype, backend=backend)
        del self.config["inhibitors"], self.config["beta_gain"]  # no arguments of this class
        self.config["zero_diagonal"] = zero_diagonal
        self.zero_diagonal = self.flag("zero_diagonal")

    def coefficients(self) -> tuple[Array, Array]:
        alpha, beta = super().coefficients()
        return alpha, self._masked(beta)

    def gradients(self, dalpha: Array, dbeta: Array) -> dict[str, Array]:
        return super().gradients(dalpha, self._masked(dbeta))

    def _masked(self, beta):
        if not self.zero_diagonal:
            return beta
        return beta * (1 - array_module(beta).eye(self.features, dtype=beta.dtype))

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        return super().forward(x, x, train)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        (dx, dv), grads = super().backward(dy, cache)
        return dx + dv, grads
