import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import LayerNorm

CASES = {
    "one-row": (lambda **options: LayerNorm(5, **options), (1, 5)),
    "vectors": (lambda **options: LayerNorm(3, **options), (4, 3)),
    "sequences": (lambda **options: LayerNorm(3, eps=0.1, **options), (2, 4, 3)),
    "images": (lambda **options: LayerNorm((2, 3, 4), **options), (3, 2, 3, 4)),
    "without-bias": (lambda **options: LayerNorm(4, bias=False, **options), (3, 4)),
    "without-weights": (lambda **options: LayerNorm((2, 3), elementwise_affine=False, **options), (4, 2, 3)),
}


class TestLayerNorm(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        D = math.prod(layer.normalized_shape)
        rows = x.reshape(-1, D)
        weight, bias = (layer.params.get(k, np.full(D, v)).ravel() for k, v in (("weight", 1.0), ("bias", 0.0)))
        y = np.zeros(rows.shape)
        for n, row in enumerate(rows):
            mean = sum(row) / D
            var = sum((value - mean) ** 2 for value in row) / D
            for d in range(D):
                y[n, d] = weight[d] * (row[d] - mean) / math.sqrt(var + layer.eps) + bias[d]
        return y.reshape(x.shape)


def test_parameters_are_those_of_torch():
    params = LayerNorm((2, 3)).params
    assert {name: p.shape for name, p in params.items()} == {"weight": (2, 3), "bias": (2, 3)}
    assert LayerNorm(4).config["normalized_shape"] == 4


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 1)])
def test_a_wrong_shape_is_refused_not_broadcast(shape):
    with pytest.raises(ValueError, match=r"expected input \(N, ..., 3\), got"):
        LayerNorm(3).forward(np.zeros(shape, "float32"))


@pytest.mark.parametrize("arguments", [(0,), ((2, -1),), ((),), (1.5,), (3, -1e-5)])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises((TypeError, ValueError), match=r"LayerNorm.*: expected (normalized_shape|eps)"):
        LayerNorm(*arguments)
