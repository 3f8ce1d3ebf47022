"""The synapse layer: a fully connected synapse graph."""

import math

import numpy as np

from ..backend import array_module
from ..initializers import fan_in_uniform
from .base import Layer


class Synapse(Layer):
    """y_ni = α_i x_ni ∏_j (1 − β_ij x_nj)                        (Li, 2018)

    x (N, n), probabilities in [0, 1]; y (N, n); alpha (n,), starts at 1; beta (n, n), row i drives output i, starts
    at U(±1/√n); n = features. Unit i is excited by its own input and inhibited by all of them. Rows of a batch never
    mix.

    Forward, with q_nij = 1 − β_ij x_nj and P_ni = ∏_j q_nij:

        y_ni = α_i x_ni P_ni

    Backward. P depends on q_nij through ∂P_ni/∂q_nij = O_nij = ∏_{k≠j} q_nik, the product of the other factors. With
    c_nij = dy_ni α_i x_ni O_nij,

        dα_i  =   Σ_n dy_ni x_ni P_ni
        dβ_ij = − Σ_n c_nij x_nj                          since ∂q_nij/∂β_ij = −x_nj
        dx_nj =   dy_nj α_j P_nj − Σ_i c_nij β_ij         since ∂q_nij/∂x_nj = −β_ij

    Where no factor is 0, O_nij = P_ni / q_nij, the form in which the formula is usually written. β is free, so
    β_ij x_nj may reach 1 and beyond: P and O are computed from the non-zero factors, R_ni = ∏_{q≠0} q_nij, and the
    number of zeros. P = R if there is none; O_nij = R_ni / q_nij if all the others are non-zero. R is a sum of
    logarithms, as in log y_i = log α_i + log x_i + Σ_j log(1 − β_ij x_j): no partial product overflows, none underflows
    to 0 that the next factors would lift. Nothing divides by x or takes its logarithm, so x = 0 is exact.

    R and c are clipped to ±√(largest float): for every finite β and x in [0, 1], y and all gradients are finite.

    Memory: arrays of N n² elements. Raises: ValueError, TypeError (forward) if x is not (N, n) or not of the weights'
    dtype.
    """

    def __init__(self, features, *, rng=None, dtype="float32", backend="numpy"):
        super().__init__(dtype, backend, features=features)
        self.features = features
        beta = fan_in_uniform(rng, (features, features), features)
        self.params = {
            "alpha": self.backend.xp.ones(features, self.dtype),
            "beta": self.backend.asarray(beta, self.dtype),
        }

    # Saturation is the purpose of the clipping, and what underflows is 0: neither is worth a warning.
    @np.errstate(over="ignore", under="ignore")
    def forward(self, x, train=False):
        self.check_input(x, "N", self.features)
        xp = array_module(x)
        q = 1 - self.params["beta"] * x[:, None, :]  # (N, i, j)
        zero = q == 0
        zeros = zero.sum(axis=-1)  # (N, i)
        q = xp.where(zero, 1, q)
        log_largest = math.log(xp.finfo(q.dtype).max) / 2
        R = xp.exp(xp.minimum(xp.log(xp.abs(q)).sum(axis=-1), log_largest))
        R = xp.where((q < 0).sum(axis=-1) % 2 == 1, -R, R)
        P = xp.where(zeros == 0, R, 0)
        y = self.params["alpha"] * x * P
        return y, (x, P, R, q, zero, zeros)

    @np.errstate(over="ignore", under="ignore")
    def backward(self, dy, cache):
        x, P, R, q, zero, zeros = cache
        alpha, beta = self.params["alpha"], self.params["beta"]
        largest = math.sqrt(array_module(q).finfo(q.dtype).max)
        O = R[:, :, None] / q * (zeros[:, :, None] == zero)  # (N, i, j)
        c = ((dy * alpha * x)[:, :, None] * O).clip(-largest, largest)
        grads = {
            "alpha": (dy * x * P).sum(axis=0),
            "beta": -(c * x[:, None, :]).sum(axis=0),
        }
        dx = dy * alpha * P - (c * beta).clip(-largest, largest).sum(axis=1)
        return dx, grads
