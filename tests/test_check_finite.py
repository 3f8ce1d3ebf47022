"""--check-finite: which layer, and nothing else changed."""

import numpy as np
import pytest

from synann_np import fast
from synann_np.layers import Dropout, Linear, LogSoftmax, ReLU
from synann_np.models import MODELS
from synann_np.sequential import Sequential
from synann_np.training.check_finite import NotFinite, check_finite


@pytest.fixture
def model(rng):
    layers = [
        ("fc1", Linear(3, 4, rng=rng)),
        ("relu", ReLU()),
        ("drop", Dropout(0.5, rng=rng)),
        ("fc2", Linear(4, 2, rng=rng)),
        ("log", LogSoftmax()),
    ]
    return Sequential(layers)


@pytest.fixture
def x(rng):
    return rng.standard_normal((5, 3)).astype("float32")


def test_a_healthy_model_computes_the_same(model, x, rng):
    checked = check_finite(model)
    assert all(a is model.params[name] for name, a in checked.params.items())
    for train in (False, True):
        (y, caches), (y_checked, its_caches) = model.forward(x, train, 3), checked.forward(x, train, 3)
        np.testing.assert_array_equal(y, y_checked)
        dy = rng.standard_normal(y.shape).astype("float32")
        (dx, grads), (dx_checked, its_grads) = model.backward(dy, caches), checked.backward(dy, its_caches)
        np.testing.assert_array_equal(dx, dx_checked)
        assert list(grads) == list(its_grads)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_layer_with_a_bad_output_is_named(model, x, bad):
    model.params["fc2.bias"][1] = bad
    with np.errstate(all="ignore"), pytest.raises(NotFinite, match=r"^the output of fc2 is not finite \(5 of 10 elem"):
        check_finite(model).forward(x)


def test_bad_input_and_a_bad_gradient_of_the_loss_are_told_from_bad_layers(model, x):
    checked = check_finite(model)
    y, caches = checked.forward(x)
    with pytest.raises(NotFinite, match=r"^the gradient of the loss is not finite"):
        checked.backward(np.full_like(y, np.inf), caches)
    x[2, 1] = np.nan
    with pytest.raises(NotFinite, match=r"^the input of the model is not finite \(1 of 15"):
        checked.forward(x)


def test_the_first_layer_with_a_bad_gradient_is_named(model, x):
    checked = check_finite(model)
    y, caches = checked.forward(x)
    model.params["fc2.weight"][0, 0] = np.inf
    with np.errstate(all="ignore"), pytest.raises(NotFinite, match=r"^the gradient of the input of fc2 is not finite"):
        checked.backward(np.ones_like(y), caches)


@pytest.mark.parametrize("name", ["mlp", "synann"])
def test_a_compiled_model_without_the_gradient_of_its_input_is_checked_too(name):
    compiled = fast.compile(MODELS[name](), threads=1, input_gradient=False)
    x = np.random.default_rng(1).standard_normal((4, 1, 28, 28), "float32")
    y, caches = check_finite(compiled).forward(x, train=True)
    _, grads = check_finite(compiled).backward(y, caches)
    assert grads.keys() == compiled.params.keys()
