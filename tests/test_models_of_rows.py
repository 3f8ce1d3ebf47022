"""The paper's perceptron and the recurrent networks."""

import numpy as np
import pytest

from synann_np.losses import nll_loss
from synann_np.models import MODELS, SynaMLP, SynaRNN, TanhRNN

SHAPES = {
    "mlp": {
        "fc1.weight": (250, 784), "fc1.bias": (250,),
        "fcn.alpha": (250,), "fcn.beta": (250, 250),
        "fcb.weight": (250,), "fcb.bias": (250,),
        "fc2.weight": (10, 250), "fc2.bias": (10,),
    },
    "rnn": {
        "rnn.weight": (64, 28), "rnn.bias": (64,),
        "rnn.beta_logit": (64, 64), "rnn.leak_logit": (64,),
        "bn.weight": (1792,), "bn.bias": (1792,),
        "fc.weight": (10, 1792), "fc.bias": (10,),
    },
    "tanh_rnn": {
        "rnn.weight_ih_l0": (64, 28), "rnn.weight_hh_l0": (64, 64),
        "rnn.bias_ih_l0": (64,), "rnn.bias_hh_l0": (64,),
        "bn.weight": (1792,), "bn.bias": (1792,),
        "fc.weight": (10, 1792), "fc.bias": (10,),
    },
}  # fmt: skip
names = pytest.mark.parametrize("name", SHAPES)


def images(rng, N=3):
    return rng.uniform(-0.4242, 2.8, (N, 1, 28, 28))


@names
def test_names_and_shapes_of_parameters_are_fixed(name):
    assert {key: p.shape for key, p in MODELS[name]().params.items()} == SHAPES[name]


def test_layers_come_in_the_order_of_the_networks():
    assert list(SynaMLP().layers) == ["flatten", "fc1", "softmax", "fcn", "fcb", "fc2", "log_softmax"]
    assert list(SynaRNN().layers) == ["rows", "rnn", "flatten", "bn", "fc", "log_softmax"]


def test_the_recurrent_networks_differ_in_their_recurrent_layer_only():
    here, there = SynaRNN(), TanhRNN()
    for (name, layer), (other_name, other) in zip(here.layers.items(), there.layers.items(), strict=True):
        assert name == other_name
        assert name == "rnn" or repr(layer) == repr(other)
    weights = [sum(p.size for p in model.params.values()) for model in (here, there)]
    assert weights[0] == weights[1] == 27530


@names
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(name):
    first, second, other = (MODELS[name](seed=seed).state_dict() for seed in (7, 7, 8))
    for key, a in first.items():
        np.testing.assert_array_equal(second[key], a)
    drawn = [key for key, a in first.items() if a.std() > 0]
    assert len(drawn) >= 4
    assert not any(np.array_equal(first[key], other[key]) for key in drawn)


@names
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_are_logarithms_of_probabilities_in_the_models_dtype(name, dtype, rng):
    y, _ = MODELS[name](dtype=dtype).forward(images(rng).astype(dtype))
    assert y.shape == (3, 10)
    assert y.dtype == dtype
    np.testing.assert_allclose(np.exp(y).sum(axis=1), 1, rtol=1e-5)


@names
def test_the_gradient_of_the_loss_equals_numeric_gradients(name, rng):
    """The largest element and two random ones of x and of every parameter."""
    model, x, labels = MODELS[name](dtype="float64"), images(rng), rng.integers(10, size=3)
    for a in (model.layers["fcb"] if name == "mlp" else model.layers["bn"]).params.values():
        a[...] = rng.uniform(0.5, 1.5, a.shape)

    def loss():
        return float(nll_loss(model.forward(x, train=True)[0], labels)[0])

    log_probs, caches = model.forward(x, train=True)
    dx, grads = model.backward(nll_loss(log_probs, labels)[1], caches)
    h = 1e-6
    for key, a, g in [("x", x, dx), *((key, p, grads[key]) for key, p in model.params.items())]:
        largest = np.unravel_index(np.abs(g).argmax(), g.shape)
        for index in [largest, *(tuple(rng.integers(size) for size in a.shape) for _ in range(2))]:
            value = a[index]
            a[index] = value + h
            above = loss()
            a[index] = value - h
            below = loss()
            a[index] = value
            numeric = (above - below) / (2 * h)
            assert abs(g[index] - numeric) <= 1e-4 * abs(g[largest]) + 1e-9, f"{key}{list(map(int, index))}"
