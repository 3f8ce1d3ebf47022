"""Gradient clipping: one bad batch must not throw the weights away."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..backend import Array, array_module


@np.errstate(under="ignore")  # a square that underflows beside the largest is 0
def clip_grad_norm(grads: Mapping[str, Array], max_norm: float) -> tuple[dict[str, Array], Any]:
    """Gradients scaled down together until their norm is at most max_norm (PyTorch's clip_grad_norm_, not in place):

        norm = √(Σ of the squares of all elements of all arrays),    g ← g · min(1, max_norm / (norm + 1e-6))

    Squares of float32 overflow from 2e19 on, and the factor would be 0: all elements are divided by a power of two near
    the largest one first, which changes no digit, and the root is multiplied by it.

    Arguments:
        grads: dict name -> array, of one backend and dtype, at least one of them not empty.
        max_norm: > 0.

    Returns: the scaled gradients (new arrays), the norm before (a scalar of the backend). A device is not waited for.

    Raises: ValueError for max_norm ≤ 0 or NaN, or no gradients.
    """
    if not any(g.size for g in grads.values()):
        raise ValueError("clip_grad_norm: expected at least one gradient that is not empty")
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm: expected max_norm > 0, got {max_norm}")
    xp = array_module(next(iter(grads.values())))
    largest = xp.stack([xp.abs(g).max() for g in grads.values() if g.size]).max()
    scale = xp.ldexp(xp.ones_like(largest), xp.frexp(largest)[1])
    norm = scale * xp.sqrt(sum(xp.square(g / scale).sum() for g in grads.values()))
    factor = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    return {name: g * factor for name, g in grads.items()}, norm
