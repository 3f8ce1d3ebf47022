"""The logistic function of every element."""

import numpy as np

from .base import Layer
from .logistic import logistic


class Sigmoid(Layer):
    """y = 1 / (1 + e^−x), element by element, any shape

    Independent probabilities, where a softmax makes the elements of a row share a sum of 1.

    Backward. From dy/dx = e^−x / (1 + e^−x)² = y (1 − y),

        dx = dy y (1 − y)
    """

    def forward(self, x, train=False):
        self.check_input(x, ...)
        return logistic(x)  # the value, and its derivative as the cache

    @np.errstate(under="ignore")
    def backward(self, dy, cache):
        slope = cache
        self.check_gradient(dy, slope.shape, slope.dtype)
        return dy * slope, {}
