"""Batch normalisation of feature vectors and of images."""

import math
from typing import Any

from ..backend import Array, BackendLike, DTypeLike, Rng, array_module
from .base import Layer


class BatchNorm(Layer):
    """y_nc = weight_c x̂_nc + bias_c,    x̂_nc = (x_nc − μ_c) / √(σ²_c + eps)    (Ioffe and Szegedy, 2015)

    x (N, C) or (N, C, ...); with further axes, n runs over them too and M is the number of values of a channel. weight,
    bias, running_mean, running_var (C,).

    With train=True, μ_c = (1/M) Σ_n x_nc and σ²_c = (1/M) Σ_n (x_nc − μ_c)², and the running statistics move:

        running ← (1 − momentum) running + momentum (μ, or σ² M/(M−1), the unbiased estimate)

    Otherwise μ and σ² are the running statistics, constants.

    Backward, with s_c = 1/√(σ²_c + eps):

        dweight_c = Σ_n dy_nc x̂_nc
        dbias_c   = Σ_n dy_nc
        dx̂_nc    = dy_nc weight_c
        dx_nc     = s_c dx̂_nc                                                        μ, σ² constant
        dx_nc     = s_c (dx̂_nc − (1/M) Σ_m dx̂_mc − x̂_nc (1/M) Σ_m dx̂_mc x̂_mc)      μ, σ² of the batch

    The last line, for one channel, from x̂_m = (x_m − μ) s. x_n moves x̂_m along three paths, whose gradients add up:

        directly        ∂x̂_m/∂x_n = s δ_mn
        through μ       ∂μ/∂x_n = 1/M and ∂x̂_m/∂μ = −s                      together −s/M
        through σ²      ∂σ²/∂x_n = 2 (x_n − μ)/M = 2 x̂_n/(s M), ∂s/∂σ² = −s³/2, ∂x̂_m/∂s = x_m − μ = x̂_m/s
                                                                            together −s x̂_m x̂_n/M

    (σ² depends on μ too, but ∂σ²/∂μ = −(2/M) Σ_m (x_m − μ) = 0.) Multiply the three by dx̂_m
    and sum over m: the result is the last line.

    Raises: ValueError, TypeError if x or dy has another shape or dtype; ValueError unless eps ≥ 0 and
    0 ≤ momentum ≤ 1, and with train=True and M = 1, where the variance is always 0.
    """

    mixes_rows = True

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, *, rng: Rng = None,
        dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        super().__init__(dtype, backend, num_features=num_features, eps=eps, momentum=momentum)
        C = self.num_features = self.integer("num_features")
        self.eps, self.momentum = self.number("eps"), self.number("momentum", 0, 1)
        xp, kind = self.backend.xp, self.dtype
        self.params = {"weight": xp.ones(C, kind), "bias": xp.zeros(C, kind)}
        self.buffers = {"running_mean": xp.zeros(C, kind), "running_var": xp.ones(C, kind)}

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_shape(x)
        C = self.num_features
        axes = (0, *range(2, len(x.shape)))
        column = (C, *[1] * (len(x.shape) - 2))  # the shape in which a (C,) array meets x
        if train:
            M = math.prod(x.shape) // C
            if M < 2:
                raise ValueError(f"{self}: training needs more than one value per channel, got {tuple(x.shape)}")
            mean = x.mean(axis=axes)
            centred = x - mean.reshape(column)
            var = (centred * centred).mean(axis=axes)
            for name, value in (("running_mean", mean), ("running_var", var * (M / (M - 1)))):
                self.buffers[name] += self.momentum * (value - self.buffers[name])
        else:
            centred = x - self.buffers["running_mean"].reshape(column)
            var = self.buffers["running_var"]
        s = (1 / array_module(x).sqrt(var + self.eps)).reshape(column)
        x_hat = centred * s
        y = self.params["weight"].reshape(column) * x_hat + self.params["bias"].reshape(column)
        return y, (x_hat, s, train)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x_hat, s, train = cache
        self.check_gradient(dy, x_hat.shape)
        axes = (0, *range(2, len(dy.shape)))
        grads = {"weight": (dy * x_hat).sum(axis=axes), "bias": dy.sum(axis=axes)}
        dx_hat = dy * self.params["weight"].reshape(s.shape)
        if not train:
            return s * dx_hat, grads
        mean = dx_hat.mean(axis=axes).reshape(s.shape)
        mean_x_hat = (dx_hat * x_hat).mean(axis=axes).reshape(s.shape)
        return s * (dx_hat - mean - x_hat * mean_x_hat), grads

    def check_shape(self, x: Array) -> None:
        raise NotImplementedError


class BatchNorm1d(BatchNorm):
    """BatchNorm of feature vectors, x (N, C), or of sequences, x (N, C, L)."""

    def check_shape(self, x: Array) -> None:
        self.check_input(x, "N", self.num_features, *(["L"] if getattr(x, "ndim", 2) == 3 else []))


class BatchNorm2d(BatchNorm):
    """BatchNorm of images, x (N, C, H, W): one mean and variance a channel, over the batch and all pixels."""

    def check_shape(self, x: Array) -> None:
        self.check_input(x, "N", self.num_features, "H", "W")
