"""Batch normalisation of a batch that is divided into chunks, over the whole batch."""

import math
from collections.abc import Sequence
from typing import Any

from ..backend import Array, array_module
from ..layers import BatchNorm1d, BatchNorm2d
from .chunks import tree_sum


class SyncedBatchNorm:
    """layers.BatchNorm, or its faster twin with relu, whose rows lie in the chunks of all ranks.

    With M_k values a channel in chunk k, whose own mean and variance are μ_k and σ²_k, and M = Σ_k M_k,

        μ  = (1/M) Σ_k M_k μ_k
        σ² = (1/M) Σ_k M_k (σ²_k + (μ_k − μ)²)          since Σ_n (x_n − μ)² = Σ_n (x_n − μ_k)² + M_k (μ_k − μ)²

    Backward needs dweight and dbias of the whole batch for dx (see BatchNorm); they are thereby the final gradients.
    All sums are taken in the fixed tree, one message each for μ and σ², and one for dweight and dbias together.

    Arguments:
        norm: BatchNorm1d, BatchNorm2d, or the twin of fast.compile.
        total: function of an array: the sum over all ranks, see Communicator.
    """

    def __init__(self, norm: Any, total: Any) -> None:
        self.norm, self.total = norm, total
        self.parts = norm if hasattr(norm, "moments") else PlainParts(norm)

    @staticmethod
    def replaces(layer: Any) -> bool:
        """Whether a layer is a batch-norm of this package."""
        return hasattr(layer, "moments") or type(layer) in (BatchNorm1d, BatchNorm2d)

    def forward_chunks(self, xs: Sequence[Array], rows: Any, N: int) -> tuple[list[Array], Any]:
        """xs: the chunks of this rank, of which `rows` count: list of int, 0 or all of a chunk. N: rows of the batch.

        Returns: ys, cache. Raises: ValueError with one value per channel in the whole batch.
        """
        norm, pixels = self.norm, math.prod(xs[0].shape[2:])
        M = N * pixels
        if M < 2:
            raise ValueError(f"{norm}: training needs more than one value per channel, got a batch of {N} row")
        moments = [(count * pixels, *self.parts.moments(x)) for count, x in zip(rows, xs, strict=True)]
        mean = self._total([m * mu for m, mu, _ in moments]) / M
        var = self._total([m * (v + (mu - mean) ** 2) for m, mu, v in moments]) / M
        for name, value in (("running_mean", mean), ("running_var", var * (M / (M - 1)))):
            buffer = norm.buffers[name]
            buffer += self.parts.momentum * (value - buffer)
        done = [self.parts.normalised(x, mean, var) for x in xs]
        return [y for y, _ in done], ([cache for _, cache in done], rows, M)

    def backward_chunks(self, dys: Sequence[Array], cache: Any) -> tuple[Any, dict[str, Array]]:
        """Returns: dxs, grads: {"weight", "bias"} of the whole batch, which nobody adds up again."""
        caches, rows, M = cache
        xp = array_module(dys[0])
        both = self._total([xp.concatenate(self.parts.sums(*one)) for one in zip(dys, caches, strict=True)])
        dweight, dbias = both.reshape(2, -1)
        dxs = [self.parts.input_gradient(*one, dweight, dbias, M) for one in zip(dys, caches, strict=True)]
        dxs = [dx if count else dx * 0 for dx, count in zip(dxs, rows, strict=True)]
        return dxs, {"weight": dweight, "bias": dbias}

    def _total(self, parts):
        return self.total(tree_sum(parts))


class PlainParts:
    """What layers.BatchNorm computes, step by step, of a part of a batch; FastBatchNorm has the same methods."""

    def __init__(self, norm: Any) -> None:
        self.norm, self.momentum = norm, norm.momentum

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Mean and variance (C,) of x alone."""
        self.norm.check_shape(x)
        axes, column = self._axes(x)
        mean = x.mean(axis=axes)
        centred = x - mean.reshape(column)
        return mean, (centred * centred).mean(axis=axes)

    def normalised(self, x: Array, mean: Array, var: Array) -> tuple[Any, tuple[Any, Any]]:
        """y, cache: with the mean and variance of the whole batch."""
        _, column = self._axes(x)
        s = (1 / array_module(x).sqrt(var + self.norm.eps)).reshape(column)
        x_hat = (x - mean.reshape(column)) * s
        params = self.norm.params
        return params["weight"].reshape(column) * x_hat + params["bias"].reshape(column), (x_hat, s)

    def sums(self, dy: Array, cache: Any) -> tuple[Array, Array]:
        """dweight, dbias (C,) of this part."""
        axes, _ = self._axes(dy)
        return (dy * cache[0]).sum(axis=axes), dy.sum(axis=axes)

    def input_gradient(self, dy: Array, cache: Any, dweight: Array, dbias: Array, M: int) -> Array:
        """dx_nc = s_c weight_c (dy_nc − dbias_c / M − x̂_nc dweight_c / M), the sums being those of the whole batch."""
        x_hat, s = cache
        _, column = self._axes(dy)
        mean, mean_x_hat = (dbias / M).reshape(column), (dweight / M).reshape(column)
        return s * self.norm.params["weight"].reshape(column) * (dy - mean - x_hat * mean_x_hat)

    @staticmethod
    def _axes(x):
        return (0, *range(2, len(x.shape))), (-1, *[1] * (len(x.shape) - 2))
