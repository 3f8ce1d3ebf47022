"""A Sequential whose first part runs as fused blocks, on a part of the batch at a time."""

from functools import reduce

import numpy as np

from ..sequential import Sequential
from .head import as_head
from .pixels import are_pixels, normalised

ROWS = 100  # at a time: their columns of a convolution still fit a cache


class Blocked(Sequential):
    """Blocks (see blocks.py) on at most ROWS rows at a time until something mixes the rows, then the joint layers.

    forward also takes the bytes of images, (N, H, W), and normalises them as data.normalise does: part by part, just
    before the numbers are wanted.

    Gradients are added in the order of the parts, so that equal settings give equal bits. An evaluation keeps no caches
    of the blocks: the memory that they fill is not in the processor's caches when it is wanted again. Should backward
    be called after all, it runs the blocks again.
    """

    def __init__(self, model, by_rows, joint):
        super().__init__(list(model.layers.items()), model.dtype, model.backend)
        self.by_rows, self.joint = by_rows, as_head(joint)
        self.places = [
            (f"{name}.{key}", layer.params, key) for name, layer in model.layers.items() for key in layer.params
        ]

    input_dtype = "uint8"

    @property
    def params(self):
        """As Sequential's; put together quicker."""
        return {name: held[key] for name, held, key in self.places}

    def forward(self, x, train=False, step=0):
        y, row_caches = forward_by_rows(self.by_rows, x, self.dtype, train, step, keep=train)
        y, joint_caches = self.joint.forward(y, train, step)
        return y, (row_caches if train else x, joint_caches)

    def backward(self, dy, caches):
        row_caches, joint_caches = caches
        dy, joint_grads = self.joint.backward(dy, joint_caches)
        if not isinstance(row_caches, list):
            _, row_caches = forward_by_rows(self.by_rows, row_caches, self.dtype)
        dx, grads = backward_by_rows(self.by_rows, dy, row_caches)
        return dx, grads | joint_grads


def forward_by_rows(blocks, x, dtype, train=False, step=0, first_row=0, keep=True):
    """y, caches of x (N, ...) by parts; caches is a list of (number of rows, cache of each block), one for each part.

    dtype: of the numbers, if x are bytes of images. first_row: number of the first row of x in the batch. keep=False:
    no caches, an empty list.
    """
    outputs, caches = [], []
    for start in range(0, max(len(x), 1), ROWS):
        y, part_caches = x[start : start + ROWS], []
        if are_pixels(y):
            y = normalised(y, dtype)
        for block in blocks:
            y, cache = block.forward(y, train, step, first_row + start)
            part_caches.append(cache if keep else None)
        outputs.append(y)
        if keep:
            caches.append((len(y), part_caches))
    return _together(outputs), caches


def backward_by_rows(blocks, dy, caches):
    """dx (None if the first block does not know it), gradients with dotted names."""
    inputs, grads, start = [], [], 0
    for rows, part_caches in caches:
        dx, part_grads = dy[start : start + rows], {}
        start += rows
        for block, cache in zip(reversed(blocks), reversed(part_caches), strict=True):
            dx, block_grads = block.backward(dx, cache)
            part_grads |= block_grads
        inputs.append(dx)
        grads.append(part_grads)
    grads = {name: reduce(np.add, [part[name] for part in grads]) for name in grads[0]}
    return None if inputs[0] is None else _together(inputs), grads


def _together(parts):
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
