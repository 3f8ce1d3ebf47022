"""Group normalisation."""

import math
from typing import Any

import numpy as np

from ..backend import Array, BackendLike, DTypeLike, Rng
from .base import Layer
from .standardise import standardise, standardise_backward


class GroupNorm(Layer):
    """y_nc = weight_c x̂_nc + bias_c,    x̂_nc = (x_nc − μ_ng) / √(σ²_ng + eps)    (Wu and He, 2018)

    x (N, C, ...), C = num_channels in G = num_groups groups of neighbouring channels, g = ⌊c G / C⌋; weight, bias (C,),
    none without affine. μ_ng and σ²_ng are mean and variance of the channels of group g of row n, over all pixels: rows
    never mix, and training and evaluation are the same. G = C is instance normalisation, G = 1 that of a whole row.

    Backward, with dx̂_nc = dy_nc weight_c, the means over a group, and s_ng = 1/√(σ²_ng + eps):

        dweight_c = Σ_n dy_nc x̂_nc        dbias_c = Σ_n dy_nc        over all pixels too
        dx_nc     = s_ng (dx̂_nc − mean dx̂_ng − x̂_nc mean (dx̂_ng x̂_ng))

    Raises: ValueError, TypeError if C is not a multiple of G, eps < 0, x is not (N, C, ...) or not of the weights'
    dtype, or dy is not shaped like y.
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, rng: Rng = None,
        dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        super().__init__(dtype, backend, num_groups=num_groups, num_channels=num_channels, eps=eps, affine=affine)
        self.num_groups, C = self.integer("num_groups"), self.integer("num_channels")
        self.num_channels, self.eps = C, self.number("eps")
        if C % self.num_groups:
            raise ValueError(f"{self}: expected num_channels to be a multiple of num_groups")
        if self.flag("affine"):
            self.params = {
                "weight": self.backend.xp.ones(C, self.dtype), "bias": self.backend.xp.zeros(C, self.dtype)
            }  # fmt: skip

    @np.errstate(under="ignore")
    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", self.num_channels, ...)
        x_hat, s = standardise(self.grouped(x), 2, self.eps)
        x_hat = x_hat.reshape(x.shape)
        if not self.params:
            return x_hat, (x_hat, s)
        weight, bias = (self.params[name].reshape(-1, *[1] * (x.ndim - 2)) for name in ("weight", "bias"))
        return weight * x_hat + bias, (x_hat, s)

    @np.errstate(under="ignore")
    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x_hat, s = cache
        self.check_gradient(dy, x_hat.shape)
        grads, dx_hat = {}, dy
        if self.params:
            axes = (0, *range(2, dy.ndim))
            grads = {"weight": (dy * x_hat).sum(axis=axes), "bias": dy.sum(axis=axes)}
            dx_hat = dy * self.params["weight"].reshape(-1, *[1] * (dy.ndim - 2))
        return standardise_backward(self.grouped(dx_hat), self.grouped(x_hat), s, 2).reshape(dy.shape), grads

    def grouped(self, x: Array) -> Array:
        """(N, C, ...) as (N, G, elements of a group)."""
        return x.reshape(len(x), self.num_groups, math.prod(x.shape[1:]) // self.num_groups)
