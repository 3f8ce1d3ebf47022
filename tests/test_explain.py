"""Shares that sum to what they explain."""

import math

import numpy as np
import pytest

import strict_device
from layers.standard import assert_close
from synann_np.layers import BatchNorm1d, Linear, LogSoftmax, ReLU, Softmax, Synapse
from synann_np.mathematics.explain import class_shares, unit_shares
from synann_np.models import SynaNN
from synann_np.sequential import Sequential

PARAMETRISATIONS = ["free", "logistic", "surprisal"]


def small_model(rng, parametrisation="free", backend="numpy", dtype="float64", n=5, K=3):
    """Softmax, synapse, batch-norm and readout with random weights, as after training."""
    options = {"rng": rng, "dtype": dtype, "backend": backend}
    model = Sequential(
        [
            ("fc1", Linear(4, n, **options)),
            ("softmax", Softmax()),
            ("fcn", Synapse(n, parametrisation, **options)),
            ("fcb", BatchNorm1d(n, **options)),
            ("fc2", Linear(n, K, **options)),
            ("log", LogSoftmax()),
        ],
        dtype,
        backend,
    )
    for name, a in (model.params | model.buffers).items():
        positive = name.endswith(("alpha", "running_var"))
        draw = rng.uniform(0.3, 1, a.shape) if positive else rng.uniform(-0.9, 0.9, a.shape)
        a[...] = model.backend.asarray(draw, dtype)
    return model


def logits_of(model, x):
    for name, layer in model.layers.items():
        if name not in ("log", "log_softmax"):
            x, _ = layer.forward(x)
    return x


def assert_complete(shares):
    assert_close(shares.base + shares.by_unit.sum(axis=2), shares.logits)
    parts = shares.excitation.sum(axis=2) + shares.inhibition.sum(axis=2) + shares.unsplit
    assert_close(shares.base + parts, shares.logits)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_shares_of_a_unit_sum_to_its_surprisal(parametrisation, rng):
    layer = Synapse(6, parametrisation, rng=rng, dtype="float64")
    layer.params[layer.alpha[0]] += rng.uniform(0, 0.5, 6)
    x = rng.uniform(0.01, 1, (4, 6))
    shares = unit_shares(layer, x)
    assert_close(shares.total, -np.log(layer.forward(x)[0]))
    assert_close(shares.y, layer.forward(x)[0])


def test_each_share_is_what_its_channel_alone_adds(rng):
    layer = Synapse(4, rng=rng, dtype="float64")
    x = rng.uniform(0.1, 1, (1, 4))
    shares = unit_shares(layer, x)
    surprisal = -np.log(layer.forward(x)[0])
    for i, j in np.ndindex(4, 4):
        without = Synapse(4, dtype="float64")
        without.params["beta"][...] = layer.params["beta"]
        without.params["beta"][i, j] = 0
        difference = surprisal[0, i] + np.log(without.forward(x)[0])[0, i]
        assert math.isclose(shares.inhibition[0, i, j], difference, rel_tol=1e-9, abs_tol=1e-12)


def test_negative_factors_keep_their_sign_beside_the_share():
    layer = Synapse(3, dtype="float64")
    layer.params["beta"][...] = [[4, 0.5, 0], [4, 3, 0], [0, 0, -2]]
    layer.params["alpha"][...] = 1, 1, -2
    x = np.array([[0.75, 0.5, 1.0]])
    shares, y = unit_shares(layer, x), layer.forward(x)[0]
    np.testing.assert_allclose(shares.total, -np.log(np.abs(y)), rtol=1e-14)
    np.testing.assert_array_equal((shares.factors < 0).sum(axis=2), [[1, 2, 0]])
    np.testing.assert_array_equal(np.sign(y), [[-1, 1, -1]])
    assert math.isclose(shares.inhibition[0, 2, 2], -math.log(3), rel_tol=1e-15)


def test_factors_and_inputs_of_zero_have_infinite_shares():
    layer = Synapse(2, dtype="float64")
    layer.params["beta"][...] = [[0, 1], [0, 0]]
    shares = unit_shares(layer, np.array([[0.5, 1.0], [0.0, 0.5]]))
    assert shares.inhibition[0, 0, 1] == math.inf
    assert shares.own[1, 0] == math.inf
    np.testing.assert_array_equal(np.isinf(shares.total), shares.y == 0)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_shares_of_a_class_sum_to_its_logit(parametrisation, rng):
    model = small_model(rng, parametrisation)
    x = rng.standard_normal((7, 4))
    shares = class_shares(model, x)
    assert_close(shares.logits, logits_of(model, x))
    assert_complete(shares)
    assert not shares.unsplit.any()


@pytest.mark.parametrize("place", ["weight", "running_var"])
def test_the_shares_of_a_unit_are_zero_where_the_readout_does_not_see_it(place, rng):
    model = small_model(rng)
    if place == "weight":
        model.params["fc2.weight"][:, 2] = 0
    else:
        model.params["fcb.weight"][2] = 0
    shares = class_shares(model, rng.standard_normal((3, 4)))
    assert not shares.by_unit[:, :, 2].any()
    assert not shares.excitation[:, :, 2].any()


def test_a_channel_that_inhibits_nobody_has_no_share(rng):
    model = small_model(rng)
    model.params["fcn.beta"][:, 1] = 0
    shares = class_shares(model, rng.standard_normal((3, 4)))
    assert not shares.inhibition[:, :, 1].any()
    assert shares.inhibition[:, :, 0].all()
    assert_complete(shares)


def test_one_channel_alone_gets_all_that_inhibition_did(rng):
    model = small_model(rng)
    model.params["fcn.beta"][:, 1:] = 0
    shares = class_shares(model, rng.standard_normal((3, 4)))
    without = small_model(rng)
    without.load_state_dict(model.state_dict())
    assert_close(shares.inhibition[:, :, 0], shares.logits - (shares.base + shares.excitation.sum(axis=2)))


def test_the_shares_of_channels_are_the_integral_along_their_path(rng):
    """With all shares s at t s, the factors are q^t: the derivative by each s, summed over a fine grid of t."""
    model = small_model(rng)
    x = rng.standard_normal((2, 4))
    shares = class_shares(model, x)
    s, excited = shares.units.inhibition, np.exp(-shares.units.alpha - shares.units.own)
    a = model.params["fc2.weight"] * model.params["fcb.weight"] / np.sqrt(model.buffers["fcb.running_var"] + 1e-5)
    steps = 2000
    integral = np.zeros_like(shares.inhibition)
    for t in (np.arange(steps) + 0.5) / steps:
        y = excited * np.exp(-t * s.sum(axis=2))
        integral += np.einsum("ki,ni,nij->nkj", a, -y, s) / steps
    np.testing.assert_allclose(shares.inhibition, integral, rtol=1e-6, atol=1e-9)


def test_units_with_factors_of_zero_or_below_are_not_split_and_nothing_is_lost(rng):
    model = small_model(rng)
    model.params["fcn.beta"][1] = 40.0  # negative factors
    model.params["fc1.weight"][...] = 0
    model.params["fc1.bias"][...] = 0  # x = 1/5
    model.params["fcn.beta"][3, 2] = 5.0  # a factor of zero
    x = rng.standard_normal((2, 4))
    shares = class_shares(model, x)
    assert_close(shares.logits, logits_of(model, x))
    assert shares.unsplit.all()
    assert_complete(shares)


def test_no_inhibition_at_all_is_no_special_case(rng):
    model = small_model(rng)
    model.params["fcn.beta"][...] = 0
    shares = class_shares(model, rng.standard_normal((2, 4)))
    assert not shares.inhibition.any()
    assert_complete(shares)


def test_channels_that_cancel_each_other_keep_their_shares(rng):
    model = small_model(rng, n=2)
    model.params["fc1.weight"][...] = 0
    model.params["fc1.bias"][...] = 0  # x = 1/2
    model.params["fcn.beta"][...] = [[1, -2], [0, 0]]  # factors 1/2 and 2
    shares = class_shares(model, rng.standard_normal((1, 4)))
    a = model.params["fc2.weight"] * model.params["fcb.weight"] / np.sqrt(model.buffers["fcb.running_var"] + 1e-5)
    expected = -a[:, 0] * model.params["fcn.alpha"][0] / 2 * math.log(2)
    assert_close(shares.inhibition[0], np.stack([expected, -expected], axis=1))
    assert_complete(shares)


def test_the_network_of_the_seed_is_explained_in_float32(rng):
    model = SynaNN()
    model.buffers["fcb.running_mean"][...] = 1 / 64
    model.buffers["fcb.running_var"][...] = 1e-5
    x = rng.standard_normal((3, 1, 28, 28)).astype("float32")
    shares = class_shares(model, x)
    assert_complete(shares)
    logits = logits_of(model, x)
    np.testing.assert_allclose(shares.logits, logits, atol=1e-5 * np.abs(logits).max())
    assert {a.dtype.name for a in (shares.logits, shares.inhibition, shares.units.total)} == {"float64"}


def test_a_model_on_a_device_is_explained_on_the_host(rng):
    state = np.random.default_rng(1)
    host, device = small_model(state), small_model(np.random.default_rng(1), backend=strict_device.backend())
    x = rng.standard_normal((3, 4))
    assert_close(class_shares(device, device.backend.asarray(x)).inhibition, class_shares(host, x).inhibition)


@pytest.mark.parametrize("left_out", ["fcn", "fcb", "fc2"])
def test_a_model_without_the_three_layers_is_refused(left_out, rng):
    layers = [(name, layer) for name, layer in small_model(rng).layers.items() if name != left_out]
    with pytest.raises(ValueError, match="explain: expected a model with one Synapse"):
        class_shares(Sequential(layers, "float64"), rng.standard_normal((2, 4)))


@pytest.mark.parametrize("more", [[("relu", ReLU())], [("fc3", Linear(3, 2, dtype="float64"))], [("s", Softmax())]])
def test_a_model_that_goes_on_after_the_readout_is_refused(more, rng):
    """Its classes would not be the outputs of that readout."""
    layers = list(small_model(rng).layers.items())[:-1]
    model = Sequential([*layers, *more], "float64")
    with pytest.raises(ValueError, match=r"explain: expected .* at the end LogSoftmax or nothing; got Linear, Softmax"):
        class_shares(model, rng.uniform(size=(2, 4)))


def test_a_model_that_ends_with_the_logits_is_explained(rng):
    model = small_model(rng)
    logits = Sequential(list(model.layers.items())[:-1], "float64")
    x = rng.uniform(size=(2, 4))
    assert_close(class_shares(logits, x).logits, class_shares(model, x).logits)
