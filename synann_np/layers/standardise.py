"""Mean 0 and variance 1 over some axes, and the gradient through both: what layer-norm and group-norm share."""

from typing import Any

from ..backend import Array, array_module


def standardise(x: Array, axes: Any, eps: float) -> tuple[Array, Array]:
    """x̂ = (x − μ) s, s = 1/√(σ² + eps), with mean μ and variance σ² = mean (x − μ)² over the axes.

    Returns: x̂, like x; s, with size 1 along the axes.
    """
    centred = x - x.mean(axis=axes, keepdims=True)
    s = 1 / array_module(x).sqrt((centred * centred).mean(axis=axes, keepdims=True) + eps)
    return centred * s, s


def standardise_backward(dx_hat: Array, x_hat: Array, s: Array, axes: Any) -> Array:
    """dx = s (dx̂ − mean dx̂ − x̂ mean (dx̂ x̂)), the means over the axes.

    An element moves x̂ directly, all of them through μ, and all of them through σ²: BatchNorm's docstring derives it.
    """
    mean = dx_hat.mean(axis=axes, keepdims=True)
    return s * (dx_hat - mean - x_hat * (dx_hat * x_hat).mean(axis=axes, keepdims=True))
