"""Gradient clipping: one bad batch must not throw the weights away."""

from ..backend import array_module


def clip_grad_norm(grads, max_norm):
    """Gradients scaled down together until their norm is at most max_norm (PyTorch's clip_grad_norm_, not in place):

        norm = √(Σ of the squares of all elements of all arrays),    g ← g · min(1, max_norm / (norm + 1e-6))

    Arguments:
        grads: dict name -> array, of one backend, at least one.
        max_norm: > 0.

    Returns: the scaled gradients (new arrays), the norm before (a scalar of the backend). A device is not waited for.

    Raises: ValueError for max_norm ≤ 0 or NaN.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm: expected max_norm > 0, got {max_norm}")
    xp = array_module(next(iter(grads.values())))
    norm = xp.sqrt(sum(xp.square(g).sum() for g in grads.values()))
    factor = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    return {name: g * factor for name, g in grads.items()}, norm
