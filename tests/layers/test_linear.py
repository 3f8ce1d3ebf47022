import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import Linear

CASES = {
    "one-row": (lambda **options: Linear(3, 5, **options), (1, 3)),
    "sizes-all-different": (lambda **options: Linear(5, 2, **options), (4, 5)),
    "one-input": (lambda **options: Linear(1, 3, **options), (2, 1)),
    "one-output": (lambda **options: Linear(4, 1, **options), (3, 4)),
    "sequences": (lambda **options: Linear(3, 2, **options), (2, 4, 3)),
    "more-axes": (lambda **options: Linear(2, 3, **options), (2, 3, 1, 2)),
    "without-bias": (lambda **options: Linear(2, 3, bias=False, **options), (4, 2)),
}


class TestLinear(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        weight, bias = layer.params["weight"], layer.params.get("bias")
        F, C = weight.shape
        y = np.zeros((*x.shape[:-1], F))
        for n in np.ndindex(*x.shape[:-1]):
            for f in range(F):
                for c in range(C):
                    y[*n, f] += weight[f, c] * x[*n, c]
                if bias is not None:
                    y[*n, f] += bias[f]
        return y


def test_weight_is_out_by_in_and_bias_is_out():
    params = Linear(3, 5).params
    assert {name: p.shape for name, p in params.items()} == {"weight": (5, 3), "bias": (5,)}


def test_without_bias_there_is_no_parameter_of_that_name():
    assert Linear(3, 5, bias=False).params.keys() == {"weight"}


def test_weight_and_bias_start_within_one_over_root_of_the_inputs():
    params = Linear(100, 500, rng=np.random.default_rng(5)).params
    for p in params.values():
        assert 0.099 < np.abs(p).max() <= 0.1


@pytest.mark.parametrize("shape", [(2, 1), (2, 4), (2, 0), (3,), (2, 3, 1)])
def test_a_wrong_width_is_refused_not_broadcast(shape):
    with pytest.raises(ValueError, match="expected input"):
        Linear(3, 5).forward(np.zeros(shape, "float32"))


def test_an_empty_batch_gives_an_empty_output_and_zero_gradients():
    layer = Linear(3, 5)
    y, cache = layer.forward(np.zeros((0, 3), "float32"))
    dx, grads = layer.backward(y, cache)
    assert y.shape == (0, 5)
    assert dx.shape == (0, 3)
    assert not grads["weight"].any()
    assert not grads["bias"].any()
