"""Random bits without state: a hash of (seed, step, element), the same integers on every backend.

A generator's stream differs between NumPy and CuPy, has to be saved to resume a run, and cannot run inside a CUDA
graph. A hash of a counter has none of these troubles: the mask of step 1000 can be had without the 999 before it.
"""

import math
from typing import Any

from .arguments import integer
from .backend import Array, array_module

MASK64 = 0xFFFFFFFFFFFFFFFF


def splitmix64(z: Array) -> Array:
    """One step of the SplitMix64 mixer (Steele, Lea, Flood, 2014) on a Python int: 64 bits in, 64 bits out."""
    z = (z + 0x9E3779B97F4A7C15) & MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    return z ^ (z >> 31)


def mix32(h: Array) -> Array:
    """A bijection of 32 bits in which every input bit moves every output bit: uint32 array in, new array out.

    Xor-shift and odd multiplier in turn, the form of the finaliser of MurmurHash3 with the constants 0x7FEB352D and
    0x846CA68B that Wellons found by search ("lowbias32", 2018).
    """
    h = h ^ (h >> 16)
    h = h * 0x7FEB352D
    h = h ^ (h >> 15)
    h = h * 0x846CA68B
    return h ^ (h >> 16)


def key_halves(seed: int, step: int) -> tuple[int, int]:
    """The lower and the upper 32 bits of splitmix64(seed ⊕ splitmix64(step))."""
    key = splitmix64((seed ^ splitmix64(step)) & MASK64)
    return key & 0xFFFFFFFF, key >> 32


def random_bits(shape: tuple[int, ...], seed: int, step: Any, like: Array, first: int = 0) -> Array:
    """Uniform bits: element e, counted in row-major order, gets mix32(mix32(e ⊕ low) ⊕ high), where high and low are
    the halves of the 64-bit key splitmix64(seed ⊕ splitmix64(step)).

    Arguments:
        shape: tuple of int.
        seed: non-negative int. step: non-negative int, or an object whose method key(seed) returns the halves as arrays
            uint32 (): inside a CUDA graph they change from launch to launch.
        like: any array; the result lives on its backend.
        first: number of the first element, for a part of a larger array.

    Returns: uint32 array of that shape.
    """
    seed = integer("random_bits", "seed", seed, 0)
    low, high = step.key(seed) if hasattr(step, "key") else key_halves(seed, integer("random_bits", "step", step, 0))
    element = array_module(like).arange(first, first + math.prod(shape), dtype="uint32")
    return mix32(mix32(element ^ low) ^ high).reshape(shape)


def keep_mask(shape: tuple[int, ...], p: float, seed: int, step: Any, like: Array, first: int = 0) -> Array:
    """True with probability 1 − p (to 2⁻³²), independently for every element: bits ≥ p 2³². Arguments as above."""
    return random_bits(shape, seed, step, like, first) >= keep_threshold(p)


def keep_threshold(p: float) -> int:
    """p 2³², the bits from which on an element is kept."""
    return min(round(p * 2**32), 2**32 - 1)  # p = 1 would not fit 32 bits
