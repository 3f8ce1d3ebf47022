"""A skip connection around a layer."""

from typing import Any

from ..backend import Array
from .base import Layer


class Residual(Layer):
    """y = x + f(x)                                                 (He, Zhang, Ren and Sun, 2016)

    f is the body: a layer, or a Sequential of several, whose output has the shape of its input. With f near 0 the layer
    is the identity, so a deep network starts as a shallow one.

    Backward. x reaches y along two paths, so with df = dy the gradient of f's output,

        dx = dy + (∂f/∂x)ᵀ dy        the second term, and the gradients of f's parameters, from f's own backward

    Its params and buffers are those of the body, under the same names.

    Raises: ValueError (forward) if f(x) has another shape than x; what the body raises.
    """

    draws_masks = True  # it hands `step` on

    def __init__(self, body: Any) -> None:
        self.config = {"body": body}
        self.body, self.dtype, self.backend = body, body.dtype, body.backend

    def __repr__(self):
        return f"Residual({self.body!r})"

    @property
    def params(self) -> dict[str, Array]:
        """Those of the body."""
        return self.body.params

    @property
    def buffers(self) -> dict[str, Array]:
        """Those of the body."""
        return self.body.buffers

    @property
    def mixes_rows(self) -> bool:
        """As the body does."""
        return self.body.mixes_rows

    def forward(self, x: Array, train: bool = False, step: int = 0) -> tuple[Array, Any]:
        self.check_input(x, "N", ...)
        f, cache = self.body.forward(x, train, step) if self.body.draws_masks else self.body.forward(x, train)
        if f.shape != x.shape:
            raise ValueError(f"{self}: expected a body that keeps the shape {tuple(x.shape)}, got {tuple(f.shape)}")
        return x + f, (cache, f.shape, f.dtype)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        cache, *like = cache
        self.check_gradient(dy, *like)
        df_dx, grads = self.body.backward(dy, cache)
        return dy + df_dx, grads
