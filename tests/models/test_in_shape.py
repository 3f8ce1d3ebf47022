"""Networks for other data than MNIST: any shape of an example, any number of classes."""

from functools import partial

import numpy as np
import pytest

from synann_np import load, save
from synann_np.backend import get_backend
from synann_np.data import load_mnist
from synann_np.layers import Normalize
from synann_np.models import MODELS, SynaCNN, SynaGlobalPool, SynaMLP, SynaNN, SynaRNN, TanhRNN, normalized
from synann_np.programs.runs.options import make_parser
from synann_np.programs.runs.parts import make_model
from synann_np.sequential import Sequential

CASES = [
    (SynaNN, (3, 32, 32), 4),
    (SynaNN, (1, 16, 40), 2),
    (SynaCNN, (2, 24, 33), 3),
    (MODELS["lenet"], (4, 17, 19), 62),
    (partial(SynaGlobalPool, hidden=12), (2, 15, 17), 3),
    (SynaMLP, (30,), 2),
    (SynaMLP, (3, 5, 7), 4),
    (SynaRNN, (12, 7), 3),
    (SynaRNN, (1, 5, 9), 3),
    (TanhRNN, (4, 11), 300),
]


@pytest.mark.parametrize(("make", "in_shape", "classes"), CASES)
def test_a_network_takes_examples_of_its_shape_and_is_saved_as_what_it_is(make, in_shape, classes, rng, tmp_path):
    model = make(in_shape=in_shape, classes=classes)
    x = rng.standard_normal((3, *in_shape)).astype("float32")
    log_probs, caches = model.forward(x, train=True)
    assert log_probs.shape == (3, classes)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, rtol=1e-5)
    dx, grads = model.backward(log_probs, caches)
    assert dx.shape == x.shape
    assert grads.keys() == model.params.keys()
    save(tmp_path / "m.safetensors", model)
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").forward(x)[0], model.forward(x)[0])


@pytest.mark.parametrize(
    ("make", "in_shape", "message"),
    [
        (SynaNN, (1, 15, 28), "at least 16×16"),
        (SynaCNN, (1, 28, 23), "at least 24×24"),
        (SynaGlobalPool, (1, 14, 28), "at least 15×15"),
        (SynaNN, (28, 28), r"expected in_shape \(channels, height, width\), got \(28, 28\); SynaMLP"),
        (SynaNN, 784, "expected in_shape to be a tuple"),
        (SynaMLP, (), "expected in_shape to be a tuple"),
        (SynaMLP, (0,), "expected in_shape >= 1, got 0"),
        (SynaRNN, (3, 32, 32), r"expected in_shape \(1, H, W\) or \(T, D\)"),
    ],
)
def test_a_shape_that_a_network_cannot_take_is_refused_with_what_it_takes(make, in_shape, message):
    with pytest.raises(ValueError, match=message):
        make(in_shape=in_shape)


def test_images_of_the_least_size_are_taken():
    assert SynaNN(in_shape=(1, 16, 16)).forward(np.zeros((1, 1, 16, 16), "float32"))[0].shape == (1, 10)
    assert SynaCNN(in_shape=(1, 24, 24)).forward(np.zeros((1, 1, 24, 24), "float32"))[0].shape == (1, 10)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("classes", [1, 0, 2.0, "3"])
def test_fewer_than_two_classes_and_no_integers_are_refused(name, classes):
    with pytest.raises((TypeError, ValueError), match="classes"):
        MODELS[name](classes=classes)


def test_a_normalized_network_has_mean_and_scale_of_the_data_in_its_file(rng, tmp_path):
    x = rng.standard_normal((40, 6)) * 5 + 3
    plain = SynaMLP(in_shape=(6,), classes=3, dtype="float64")
    model = normalized(plain, x)
    expected = plain.forward((x - x.mean(axis=0)) / x.std(axis=0))[0]
    np.testing.assert_allclose(model.forward(x)[0], expected, rtol=1e-9)
    save(tmp_path / "m.safetensors", model)
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").forward(x)[0], model.forward(x)[0])
    again = normalized(model, x + 1)
    assert [type(layer) for layer in again.layers.values()].count(Normalize) == 1
    np.testing.assert_allclose(again.forward(x + 1)[0], expected, rtol=1e-9)


def test_the_network_of_the_keras_script():
    args = make_parser("").parse_args(["--model", "global_pool"])
    model, _ = make_model(args, get_backend("numpy"), load_mnist(), None)
    assert sum(p.size for p in model.params.values()) == 280 + 14_168 + 156_912 + 4_303_376 + (784**2 + 784) + 7_850
    x = np.random.default_rng(0).standard_normal((2, 1, 28, 28)).astype("float32")
    channels = Sequential(list(model.layers.items())[:8]).forward(x)[0]
    assert channels.shape == (2, 784, 14, 14)
    pooled = Sequential(list(model.layers.items())[:9]).forward(x)[0]
    np.testing.assert_array_equal(pooled[:, :, 0, 0], channels.max(axis=(2, 3)))
