"""Dropout of single elements and of whole channels."""

import math
from typing import Any

from ..arguments import generator
from ..backend import Array, Rng
from ..counter_random import keep_mask
from .base import Layer


class Dropout(Layer):
    """y_e = x_e m_e / (1 − p) with train=True, y = x otherwise

    x of any shape (N, ...). m_e is 0 with probability p, else 1. The division keeps the mean, E[y] = x, so evaluation
    needs no scaling (inverted dropout; Srivastava et al., 2014).

    Backward: dx_e = dy_e m_e / (1 − p), the same mask.

    The mask is a function of (seed, step, element) alone: the same on NumPy and CuPy, and the same again after a
    resume. The seed is drawn from rng unless it is given. A training loop increments `step` in every step; equal steps
    give equal masks.

    Raises: ValueError, TypeError unless 0 ≤ p ≤ 1, x is float32 or float64, and dy is like x.
    """

    draws_masks = True

    def __init__(self, p: float = 0.5, *, seed: int | None = None, rng: Rng = None) -> None:
        if seed is None:
            seed = int(generator(type(self).__name__, rng).integers(2**63))
        super().__init__(p=p, seed=seed)
        self.p, self.seed = self.number("p", 0, 1), self.integer("seed", 0)
        self.scale = 0.0 if p == 1 else 1 / (1 - self.p)

    def forward(self, x: Array, train: bool = False, step: int = 0, first_row: int = 0) -> tuple[Array, Any]:
        """first_row: number of the first row of x, if x is a part of a batch."""
        self.mask_shape(x)  # refuses another x, in evaluation too
        if not train:
            return x, (None, x.shape, x.dtype)
        mask = self.mask(x, step, first_row)
        return x * mask, (mask, x.shape, x.dtype)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        mask, *like = cache
        self.check_gradient(dy, *like)
        return (dy if mask is None else dy * mask), {}

    def mask(self, x: Array, step: int, first_row: int = 0) -> Array:
        """m / (1 − p) in the dtype of x. first_row: where x begins, if it is a part of a batch."""
        shape = self.mask_shape(x)
        first = first_row * math.prod(shape[1:])
        return keep_mask(shape, self.p, self.seed, step, like=x, first=first).astype(x.dtype) * self.scale

    def mask_shape(self, x: Array) -> tuple[int, ...]:
        self.check_input(x, ...)
        return x.shape


class Dropout2d(Dropout):
    """y_nchw = x_nchw m_nc / (1 − p): a channel of a sample is kept or dropped as a whole.

    x (N, C, H, W). Neighbouring pixels of a feature map say nearly the same, so dropping single ones drops little
    (Tompson et al., 2015). Everything else as Dropout.

    Raises: ValueError (forward) if x is not (N, C, H, W).
    """

    def mask_shape(self, x: Array) -> tuple[int, ...]:
        self.check_input(x, "N", "C", "H", "W")
        return (*x.shape[:2], 1, 1)
