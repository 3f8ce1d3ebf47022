"""Weights to PyTorch and back, against torch itself."""

import numpy as np
import pytest

from synann_np.layers import BatchNorm1d, BatchNorm2d, Conv2d, Flatten, Linear, ReLU
from synann_np.models import SynaNN
from synann_np.sequential import Sequential
from synann_np.storage.torch_names import from_torch, to_torch

torch = pytest.importorskip("torch")
nn = torch.nn


def small_networks(rng):
    """The same network here and there, with different weights; batch-norm with statistics that are not 0 and 1."""
    options = {"rng": rng}
    layers = [
        ("conv", Conv2d(2, 3, 3, padding=1, **options)),
        ("bn2", BatchNorm2d(3)),
        ("relu", ReLU()),
        ("flatten", Flatten()),
        ("fc", Linear(3 * 5 * 4, 6, **options)),
        ("bn1", BatchNorm1d(6)),
    ]
    there = nn.Sequential()
    there.add_module("conv", nn.Conv2d(2, 3, 3, padding=1))
    there.add_module("bn2", nn.BatchNorm2d(3))
    there.add_module("relu", nn.ReLU())
    there.add_module("flatten", nn.Flatten())
    there.add_module("fc", nn.Linear(3 * 5 * 4, 6))
    there.add_module("bn1", nn.BatchNorm1d(6))
    return Sequential(layers), there


def outputs(here, there, x):
    with torch.no_grad():
        return here.forward(x)[0], there.eval()(torch.from_numpy(x)).numpy()


@pytest.fixture
def x(rng):
    return rng.standard_normal((7, 2, 5, 4)).astype("float32")


def test_weights_from_torch_give_torchs_outputs(rng, x):
    here, there = small_networks(rng)
    there.train()(torch.from_numpy(x) * 3 + 1)  # moves the running statistics
    here.load_state_dict(from_torch(there.state_dict(), here))
    np.testing.assert_allclose(*outputs(here, there, x), rtol=2e-5, atol=2e-5)


def test_weights_to_torch_load_strictly_and_give_our_outputs(rng, x):
    here, there = small_networks(rng)
    here.forward(x * 3 + 1, train=True)
    there.load_state_dict(to_torch(here), strict=True)
    np.testing.assert_allclose(*outputs(here, there, x), rtol=2e-5, atol=2e-5)


def test_there_and_back_changes_no_bit():
    model, other = SynaNN(1), SynaNN(2)
    other.load_state_dict(from_torch(to_torch(model), other))
    for name, a in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], a, strict=True)


class Published(nn.Module):
    """The layers with weights of the published network, under its names; fcn as in its listing: weight and bias."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.fc1, self.fcb, self.fc2 = nn.Linear(320, 64), nn.BatchNorm1d(64), nn.Linear(64, 10)
        self.fcn = nn.Linear(64, 64)  # the same two parameters


def test_the_published_network_loads_and_takes_weights_back():
    there, model = Published(), SynaNN()
    model.load_state_dict(from_torch(there.state_dict(), model))
    np.testing.assert_array_equal(model.params["fcn.beta"], there.fcn.weight.detach().numpy())
    np.testing.assert_array_equal(model.params["fcn.alpha"], 1)
    back = Published()
    left = back.load_state_dict(to_torch(model), strict=False)
    assert sorted(left.missing_keys) == ["fcn.bias", "fcn.weight"]
    assert sorted(left.unexpected_keys) == ["fcn.alpha", "fcn.beta"]
    for name in ("conv1.weight", "conv2.bias", "fc1.weight", "fcb.running_var", "fc2.bias"):
        torch.testing.assert_close(back.state_dict()[name], there.state_dict()[name], rtol=0, atol=0)


def test_what_is_missing_or_unknown_is_named():
    state = Published().state_dict()
    del state["conv1.bias"]
    with pytest.raises(ValueError, match=r"missing \['conv1\.bias'\]"):
        SynaNN().load_state_dict(from_torch(state, SynaNN()))
    state |= {"conv1.bias": torch.zeros(10), "conv9.bias": torch.zeros(10)}
    with pytest.raises(ValueError, match=r"no \['conv9\.bias'\]"):
        SynaNN().load_state_dict(from_torch(state, SynaNN()))


@pytest.mark.parametrize("synapse", ["logistic", "surprisal", "none"])
def test_other_synapses_take_what_has_their_names(synapse):
    model = SynaNN(seed=2, synapse=synapse)
    state = SynaNN(seed=1, synapse=synapse).state_dict()
    model.load_state_dict(from_torch(state, model))
    for name, a in model.state_dict().items():
        np.testing.assert_array_equal(a, state[name])
    published = {"fcn.weight": np.zeros((64, 64))}
    with pytest.raises(ValueError, match="missing"):
        model.load_state_dict(from_torch(published, model))
