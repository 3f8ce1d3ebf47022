"""Initial weights, drawn on the host in float64: every backend and every dtype starts from the same numbers."""

import math

from ..arguments import generator
from ..backend import Array, Rng


def fan_in_uniform(rng: Rng, shape: tuple[int, ...], fan_in: float) -> Array:
    """U(−1/√fan_in, 1/√fan_in), PyTorch's default for linear and convolution layers, weight and bias alike.

    Arguments:
        rng: numpy.random.Generator; None draws from fresh entropy.
        shape: tuple of int.
        fan_in: inputs that one output sums over.

    Returns: host array of that shape, float64.
    """
    bound = 1 / math.sqrt(fan_in)
    return generator("fan_in_uniform", rng).uniform(-bound, bound, shape)
