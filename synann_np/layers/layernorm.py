"""Layer normalisation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import integer
from ..backend import Array, BackendLike, DTypeLike, Rng
from .base import Layer
from .standardise import standardise, standardise_backward


class LayerNorm(Layer):
    """y_n,d = weight_d x̂_n,d + bias_d,    x̂_n,d = (x_n,d − μ_n) / √(σ²_n + eps)    (Ba, Kiros and Hinton, 2016)

    d runs over the last axes, those of normalized_shape (an integer is one axis), n over the axes before them. μ_n and
    σ²_n are mean and variance of row n over d: rows never mix, and training and evaluation are the same. weight and
    bias have normalized_shape; without elementwise_affine there are none, without bias no bias.

    Backward, with dx̂_n,d = dy_n,d weight_d, the means over d, and s_n = 1/√(σ²_n + eps):

        dweight_d = Σ_n dy_n,d x̂_n,d
        dbias_d   = Σ_n dy_n,d
        dx_n,d    = s_n (dx̂_n,d − mean dx̂_n − x̂_n,d mean (dx̂_n x̂_n))

    Raises: ValueError, TypeError if normalized_shape is not an integer >= 1 or several, eps < 0, x is not
    (N, ..., *normalized_shape) or not of the weights' dtype, or dy is not shaped like y.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, *, rng: Rng = None, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        several = isinstance(normalized_shape, list | tuple)
        given: Any = normalized_shape if several else [normalized_shape]
        sizes = tuple(integer("LayerNorm", "normalized_shape", n) for n in given)
        config = {"normalized_shape": sizes if several else sizes[0], "eps": eps}
        super().__init__(dtype, backend, **config, elementwise_affine=elementwise_affine, bias=bias)
        if not sizes:
            raise ValueError(f"{self}: expected normalized_shape of at least one axis")
        self.normalized_shape, self.eps = sizes, self.number("eps")
        self.axes = tuple(range(-len(sizes), 0))
        if self.flag("elementwise_affine"):
            self.params["weight"] = self.backend.xp.ones(sizes, self.dtype)
            if self.flag("bias"):
                self.params["bias"] = self.backend.xp.zeros(sizes, self.dtype)

    def multiplications(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """0: weight is not a matrix, whatever its shape: an element of it meets one element of x."""
        return 0

    @np.errstate(under="ignore")
    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", ..., *self.normalized_shape)
        x_hat, s = standardise(x, self.axes, self.eps)
        y = x_hat * self.params["weight"] if "weight" in self.params else x_hat
        return (y + self.params["bias"] if "bias" in self.params else y), (x_hat, s)

    @np.errstate(under="ignore")
    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x_hat, s = cache
        self.check_gradient(dy, x_hat.shape)
        rows = tuple(range(dy.ndim - len(self.axes)))
        grads = {"weight": (dy * x_hat).sum(axis=rows), "bias": dy.sum(axis=rows)}
        dx_hat = dy * self.params["weight"] if "weight" in self.params else dy
        return standardise_backward(dx_hat, x_hat, s, self.axes), {name: grads[name] for name in self.params}
