"""Softmax along an axis."""

from ..backend import array_module
from .along_axis import AlongAxis


class Softmax(AlongAxis):
    """y_i = e^{x_i} / Σ_k e^{x_k} along `axis`, the last unless given

    x (..., K), y the same. The maximum of each row is subtracted first: it cancels in the quotient, and no exponential
    overflows.

    Backward. From ∂y_k/∂x_i = y_k (δ_ki − y_i), with δ the identity matrix,

        dx_i = Σ_k dy_k y_k (δ_ki − y_i) = y_i (dy_i − Σ_k dy_k y_k)

    The sum is the same for the whole row. It vanishes only if dy is orthogonal to y; with a constant dy everything
    cancels, dx = 0, which is why a check with dy = 1 sees nothing.
    """

    def forward(self, x, train=False):
        self.check_axis(x)
        e = array_module(x).exp(x - x.max(axis=self.axis, keepdims=True))
        y = e / e.sum(axis=self.axis, keepdims=True)
        return y, y

    def backward(self, dy, cache):
        y = cache
        self.check_gradient(dy, y.shape, y.dtype)
        return y * (dy - (dy * y).sum(axis=self.axis, keepdims=True)), {}
