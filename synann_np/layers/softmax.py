"""Softmax along an axis."""

from typing import Any

from ..backend import Array, array_module
from .along_axis import AlongAxis


class Softmax(AlongAxis):
    """y_i = e^{x_i} / Σ_k e^{x_k} along `axis`, the last unless given

    x (..., K), y of the same shape: K probabilities of sum 1. The maximum of each row is subtracted first: it cancels
    in the quotient, and no exponential overflows.

    Backward. By the rule for quotients, with s = Σ_k e^{x_k},

        ∂y_i/∂x_i = (e^{x_i} s − e^{x_i} e^{x_i}) / s² = y_i (1 − y_i)     its own input: numerator and s change
        ∂y_k/∂x_i = −e^{x_k} e^{x_i} / s² = −y_k y_i,  k ≠ i               any other: only s changes

    or, in one line with δ the identity matrix, ∂y_k/∂x_i = y_k (δ_ki − y_i). Input i reaches every output k, so

        dx_i = Σ_k dy_k y_k (δ_ki − y_i) = y_i (dy_i − Σ_k dy_k y_k)

    The sum is the same for the whole row. It vanishes only if dy is orthogonal to y; with a constant dy everything
    cancels, dx = 0, which is why a check with dy = 1 sees nothing. With the loss −log y_t of the true class t, dy_k is
    −1/y_t for k = t and 0 for the others, so Σ_k dy_k y_k = −1 and dx_i = y_i − [i = t], where [i = t] is 1 if i = t,
    else 0: softmax − one-hot (see LogSoftmax).
    """

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_axis(x)
        e = array_module(x).exp(x - x.max(axis=self.axis, keepdims=True))
        y = e / e.sum(axis=self.axis, keepdims=True)
        return y, y

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        y = cache
        self.check_gradient(dy, y.shape, y.dtype)
        return y * (dy - (dy * y).sum(axis=self.axis, keepdims=True)), {}
