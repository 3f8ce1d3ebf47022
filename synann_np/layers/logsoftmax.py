"""Logarithm of the softmax along an axis."""

from typing import Any

from ..backend import Array, array_module
from .along_axis import AlongAxis


class LogSoftmax(AlongAxis):
    """y_i = x_i − log Σ_k e^{x_k} along `axis`, the last unless given

    x (..., K), y the same. The maximum m of each row is taken out of the sum, log Σ e^{x_k} = m + log Σ e^{x_k − m}:
    no exponential overflows, and the sum is at least 1, so the logarithm is finite.

    Backward. From ∂y_k/∂x_i = δ_ki − e^{y_i}, with δ the identity matrix,

        dx_i = Σ_k dy_k (δ_ki − e^{y_i}) = dy_i − e^{y_i} Σ_k dy_k

    The loss −(1/N) Σ_n y_n,t(n) has dy_nk = −1/N at the label, k = t(n), and 0 elsewhere, whose sum is −1/N. So the two
    together give dx_ni = (e^{y_ni} − [i = t(n)]) / N: softmax − one-hot. [i = t(n)] is 1 if i = t(n), else 0.
    """

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_axis(x)
        xp = array_module(x)
        z = x - x.max(axis=self.axis, keepdims=True)
        y = z - xp.log(xp.exp(z).sum(axis=self.axis, keepdims=True))
        return y, y

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        y = cache
        self.check_gradient(dy, y.shape, y.dtype)
        return dy - array_module(y).exp(y) * dy.sum(axis=self.axis, keepdims=True), {}
