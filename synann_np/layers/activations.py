"""Functions of single elements: each is its formula and its slope."""

import math
from typing import Any

import numpy as np

from ..backend import Array, array_module
from .base import Layer
from .logistic import logistic


class Elementwise(Layer):
    """y = f(x), element by element, any shape.

    Backward: dx = dy f′(x). A subclass computes f and f′ in one function, `value_and_slope`; f′ is the cache.

    Raises: ValueError, TypeError if x is not float32 or float64, or dy is not shaped like y.
    """

    @np.errstate(under="ignore")  # far from 0, what underflows is 0
    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, ...)
        return self.value_and_slope(x)

    @np.errstate(under="ignore")
    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        slope = cache
        self.check_gradient(dy, slope.shape, slope.dtype)
        return dy * slope, {}

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        """f(x), f′(x), both of the shape and dtype of x."""
        raise NotImplementedError


class Sigmoid(Elementwise):
    """y = σ(x) = 1 / (1 + e^−x),    dy/dx = e^−x / (1 + e^−x)² = y (1 − y)

    Independent probabilities, where a softmax makes the elements of a row share a sum of 1.
    """

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        return logistic(x)


class Tanh(Elementwise):
    """y = tanh x,    dy/dx = 1 − y²"""

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        y = array_module(x).tanh(x)
        return y, 1 - y * y


class LeakyReLU(Elementwise):
    """y = x where x > 0, else negative_slope · x    (Maas, Hannun and Ng, 2013);    dy/dx = 1 or negative_slope"""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__(negative_slope=negative_slope)
        self.negative_slope = self.number("negative_slope", -math.inf)

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        slope = array_module(x).where(x > 0, 1, self.negative_slope).astype(x.dtype)
        return x * slope, slope


class ELU(Elementwise):
    """y = x where x > 0, else α (e^x − 1)    (Clevert, Unterthiner and Hochreiter, 2016);    dy/dx = 1 or α e^x"""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)
        self.alpha = self.number("alpha", -math.inf)

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        xp = array_module(x)
        below = xp.minimum(x, 0)  # e^x of a large x would overflow, though it is not used
        y = xp.where(x > 0, x, self.alpha * xp.expm1(below))
        return y, xp.where(x > 0, 1, self.alpha * xp.exp(below))


class SELU(ELU):
    """y = λ ELU(x) with α = 1.6733, λ = 1.0507, which keep mean 0 and variance 1    (Klambauer et al., 2017)"""

    ALPHA, LAMBDA = 1.6732632423543772, 1.0507009873554805  # the solution that the paper gives in closed form

    def __init__(self) -> None:
        Layer.__init__(self)
        self.alpha = self.ALPHA

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        y, slope = super().value_and_slope(x)
        return self.LAMBDA * y, self.LAMBDA * slope


class SiLU(Elementwise):
    """y = x σ(x)    (swish; Ramachandran, Zoph and Le, 2017);    dy/dx = σ(x) + x σ′(x)"""

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        s, ds = logistic(x)
        return x * s, s + x * ds


class GELU(Elementwise):
    """y = x Φ(x)    (Hendrycks and Gimpel, 2016);    dy/dx = Φ(x) + x φ(x)

    with φ(x) = e^(−x²/2) / √(2π) the density of the normal distribution and Φ its integral,

        Φ(x) = 1/2 + x ∫₀¹ φ(x t) dt        by the Gauss–Legendre rule of 40 nodes, 1e-14 off at most

    approximate="tanh": y = x (1 + tanh u) / 2 with u = √(2/π) (x + 0.044715 x³), dy/dx = (1 + tanh u) / 2 +
    x (1 − tanh² u) u′ / 2.
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)
        self.approximate = self.word("approximate", ["none", "tanh"])

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        xp = array_module(x)
        z = xp.clip(x, -9, 9)  # Φ and its approximation are 0 or 1 beyond, in float64 too
        if self.approximate == "tanh":
            t = xp.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z))
            du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z * z)
            return x * (1 + t) / 2, (1 + t) / 2 + x * (1 - t * t) * du / 2
        nodes, weights = (a.tolist() for a in np.polynomial.legendre.leggauss(40))  # on [−1, 1], Python floats
        integral = sum(w / 2 * _density(z * ((t + 1) / 2)) for t, w in zip(nodes, weights, strict=True))
        cdf = xp.clip(0.5 + z * integral, 0, 1)
        return x * cdf, cdf + x * _density(z)


class Softplus(Elementwise):
    """y = log(1 + e^(βx)) / β, a smooth relu;    dy/dx = σ(βx)

    Computed as max(x, 0) + log(1 + e^−|βx|) / β, whose exponential never overflows.
    """

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__(beta=beta)
        self.beta = self.number("beta", 1e-6)

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        xp = array_module(x)
        y = xp.maximum(x, 0) + xp.log1p(xp.exp(-self.beta * xp.abs(x))) / self.beta
        return y, logistic(self.beta * x)[0]


class Hardtanh(Elementwise):
    """y = x, but min_val below and max_val above;    dy/dx = 1 inside, else 0. Hardtanh(0, 6) is ReLU6."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__(min_val=min_val, max_val=max_val)
        self.min_val = self.number("min_val", -math.inf)
        self.max_val = self.number("max_val", self.min_val)

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        y = array_module(x).clip(x, self.min_val, self.max_val)
        return y, ((x > self.min_val) & (x < self.max_val)).astype(x.dtype)


def _density(x):
    return array_module(x).exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi))
