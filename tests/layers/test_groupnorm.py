import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import GroupNorm, LayerNorm

CASES = {
    "one-row": (lambda **options: GroupNorm(2, 4, **options), (1, 4, 2, 3)),
    "images": (lambda **options: GroupNorm(3, 6, **options), (2, 6, 2, 2)),
    "vectors": (lambda **options: GroupNorm(2, 6, eps=0.1, **options), (3, 6)),
    "instance-norm": (lambda **options: GroupNorm(3, 3, **options), (2, 3, 3, 2)),
    "one-group": (lambda **options: GroupNorm(1, 3, **options), (2, 3, 4)),
    "without-weights": (lambda **options: GroupNorm(2, 4, affine=False, **options), (2, 4, 3)),
}


class TestGroupNorm(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        N, C = x.shape[:2]
        weight, bias = (layer.params.get(k, np.full(C, v)) for k, v in (("weight", 1.0), ("bias", 0.0)))
        y, part = np.zeros(x.shape), C // layer.num_groups
        for n, g in np.ndindex(N, layer.num_groups):
            channels = range(g * part, (g + 1) * part)
            values = [value for c in channels for value in x[n, c].ravel()]
            mean = sum(values) / len(values)
            var = sum((value - mean) ** 2 for value in values) / len(values)
            for c in channels:
                y[n, c] = weight[c] * (x[n, c] - mean) / math.sqrt(var + layer.eps) + bias[c]
        return y


def test_one_group_is_the_layer_norm_of_a_row(rng):
    x = rng.standard_normal((3, 4, 5))
    y, _ = GroupNorm(1, 4, affine=False, dtype="float64").forward(x)
    expected, _ = LayerNorm((4, 5), elementwise_affine=False, dtype="float64").forward(x)
    np.testing.assert_allclose(y, expected, rtol=1e-12)


@pytest.mark.parametrize("arguments", [(2, 3), (0, 4), (2, 0), (4, 2), (2, 4, -1.0)])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=r"GroupNorm\(.*: expected (num_|eps)"):
        GroupNorm(*arguments)
