"""Gradient clipping where some gradients are divided among ranks."""

from typing import Any

from ..backend import Array, array_module
from ..training.clipping import clip_grad_norm
from .chunks import tree_sum


def clip(grads: dict[str, Array], max_norm: float, sharded: Any, total: Any) -> Any:
    """As training.clipping.clip_grad_norm, with the norm over the units of all ranks.

    The squares of a divided gradient are added by blocks of units in the fixed tree, so that the norm has the same bits
    on any number of ranks.

    Arguments:
        sharded: dict name -> ShardedSynapse, for the gradients of which this rank has a part.
        total: function of an array: the sum over all ranks.
    """
    if not sharded:
        return clip_grad_norm(grads, max_norm)
    xp, squares = array_module(next(iter(grads.values()))), []
    for name, g in grads.items():
        parts = [g[b] for b in sharded[name].own_blocks] if name in sharded else [g]
        found = tree_sum([xp.square(part, dtype="float64").sum().reshape(1) for part in parts])
        squares.append(total(found) if name in sharded else found)
    norm = xp.sqrt(sum(squares))[0]
    factor = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    return {name: g * factor.astype(g.dtype) for name, g in grads.items()}, norm
