"""Fully connected layer."""

from typing import Any

from ..backend import Array, BackendLike, DTypeLike, Rng
from ..product import product
from .base import Layer
from .initializers import fan_in_uniform


class Linear(Layer):
    """y_nf = Σ_c weight_fc x_nc + bias_f

    x (N, C), y (N, F), weight (F, C), bias (F,), with C = in_features, F = out_features. x may have more axes,
    (N, ..., C): then n runs over all of them but the last, and y is (N, ..., F).

    Backward, by the chain rule from dy_nf = ∂L/∂y_nf: the gradient of a number is a sum over all the y that it reaches.
    A sum over an index is a matrix product once that index is the last of one array and the first of the other.

        dweight_fc = Σ_n dy_nf x_nc         since ∂y_nf/∂weight_fc = x_nc
        dbias_f    = Σ_n dy_nf              since ∂y_nf/∂bias_f = 1
        dx_nc      = Σ_f dy_nf weight_fc    since ∂y_nf/∂x_nc = weight_fc

    In the first line n is the last index of dy.T and the first of x, so dweight = dy.T @ x; in the last, f is the last
    of dy and the first of weight: dx = dy @ weight.

    Raises: ValueError, TypeError if C or F is not an integer >= 1, if x is not (N, ..., C) or dy not shaped like y, or
    if either has another dtype than the weights.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, rng: Rng = None,
        dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        super().__init__(dtype, backend, in_features=in_features, out_features=out_features, bias=bias)
        C, F = self.in_features, self.out_features = self.integer("in_features"), self.integer("out_features")
        shapes = {"weight": (F, C)} | ({"bias": (F,)} if self.flag("bias") else {})
        self.params = {
            name: self.backend.asarray(fan_in_uniform(rng, shape, C), self.dtype) for name, shape in shapes.items()
        }

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", ..., self.in_features)
        rows = x.reshape(-1, self.in_features)  # (N, C)
        y = product(rows, self.params["weight"].T)  # (N, F)
        if "bias" in self.params:
            y = y + self.params["bias"]
        return y.reshape(*x.shape[:-1], self.out_features), (rows, x.shape)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x, x_shape = cache
        self.check_gradient(dy, (*x_shape[:-1], self.out_features))
        dy = dy.reshape(-1, self.out_features)
        grads = {"weight": product(dy.T, x)}  # (F, C)
        if "bias" in self.params:
            grads["bias"] = dy.sum(axis=0)
        if not self.input_gradient:
            return None, grads
        dx = product(dy, self.params["weight"])  # (N, C)
        return dx.reshape(x_shape), grads
