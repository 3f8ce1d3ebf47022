"""A Sequential whose first part runs as fused blocks, on a part of the batch at a time."""

from functools import reduce

import numpy as np

from ..sequential import Sequential

ROWS = 100  # at a time: their columns of a convolution still fit a cache


class Blocked(Sequential):
    """Blocks (see blocks.py) on at most ROWS rows at a time until something mixes the rows, then layers as they are.

    Gradients are added in the order of the parts, so that equal settings give equal bits.
    """

    def __init__(self, model, by_rows, joint):
        super().__init__(list(model.layers.items()), model.dtype, model.backend)
        self.by_rows, self.joint = by_rows, joint

    def forward(self, x, train=False, step=0):
        parts = [slice(i, i + ROWS) for i in range(0, len(x), ROWS)] or [slice(0, 0)]
        outputs, part_caches = [], []
        for rows in parts:
            y, caches = x[rows], []
            for block in self.by_rows:
                y, cache = block.forward(y, train, step, rows.start)
                caches.append(cache)
            outputs.append(y)
            part_caches.append(caches)
        y, joint_caches = self.joint.forward(_together(outputs), train, step)
        return y, (parts, part_caches, joint_caches)

    def backward(self, dy, caches):
        parts, part_caches, joint_caches = caches
        dy, joint_grads = self.joint.backward(dy, joint_caches)
        inputs, part_grads = [], []
        for rows, caches in zip(parts, part_caches, strict=True):
            dx, grads = dy[rows], {}
            for block, cache in zip(reversed(self.by_rows), reversed(caches), strict=True):
                dx, block_grads = block.backward(dx, cache)
                grads |= block_grads
            inputs.append(dx)
            part_grads.append(grads)
        dx = None if inputs[0] is None else _together(inputs)
        grads = {name: reduce(np.add, [grads[name] for grads in part_grads]) for name in part_grads[0]}
        return dx, grads | joint_grads


def _together(parts):
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
