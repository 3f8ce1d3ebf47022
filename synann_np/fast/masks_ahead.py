"""Dropout masks of several steps, drawn at once."""

import math
from functools import lru_cache

import numpy as np

from ..counter_random import MASK64, mix32, splitmix64

STEPS = 16  # at once
SMALL = 2**14  # elements of a mask; the time of a larger one goes into its elements, not into calls
ENTRIES = 32  # each of STEPS SMALL masks at most: together 32 MiB in float32


def dropout_mask(dropout, shape, dtype, step, first_row):
    """dropout.mask of a step, for reading only. shape: of the mask for these rows, the first of which is first_row.

    A mask takes about twenty calls of NumPy. For some thousand elements most of the time goes into the calls, so that
    the masks of the next STEPS steps cost little more than one.
    """
    rules = shape, np.dtype(dtype), dropout.p, dropout.scale, dropout.seed, first_row * math.prod(shape[1:])
    if math.prod(shape) > SMALL:
        return _draw(*rules, step, 1)[0]
    return _masks_of_block(*rules, step // STEPS)[step % STEPS]


@lru_cache(ENTRIES)
def _masks_of_block(*rules_and_block):
    *rules, block = rules_and_block
    return _draw(*rules, block * STEPS, STEPS)


def _draw(shape, dtype, p, scale, seed, first_element, first_step, steps):
    """(steps, *shape): keep_mask of counter_random.py, times scale, with the key of each step."""
    keys = [splitmix64((seed ^ splitmix64(step)) & MASK64) for step in range(first_step, first_step + steps)]
    low, high = (np.array([key >> shift & 0xFFFFFFFF for key in keys], np.uint32)[:, None] for shift in (0, 32))
    elements = np.arange(first_element, first_element + math.prod(shape), dtype=np.uint32)
    bits = mix32(mix32(elements ^ low) ^ high)
    masks = (bits >= min(round(p * 2**32), 2**32 - 1)).reshape(steps, *shape).astype(dtype)
    masks *= scale
    masks.flags.writeable = False  # they will be handed out again
    return masks
