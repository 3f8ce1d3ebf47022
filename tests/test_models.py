import numpy as np
import pytest

from synann_np.layers import Dropout, Dropout2d
from synann_np.losses import nll_loss
from synann_np.models import SynaNN

PARAMS = {
    "conv1.weight": (10, 1, 5, 5),
    "conv1.bias": (10,),
    "conv2.weight": (20, 10, 5, 5),
    "conv2.bias": (20,),
    "fc1.weight": (64, 320),
    "fc1.bias": (64,),
    "fcn.alpha": (64,),
    "fcn.beta": (64, 64),
    "fcb.weight": (64,),
    "fcb.bias": (64,),
    "fc2.weight": (10, 64),
    "fc2.bias": (10,),
}
BUFFERS = {"fcb.running_mean": (64,), "fcb.running_var": (64,)}


@pytest.fixture
def images(rng):
    """Like normalised digits, mostly background, but no two pixels equal.

    Equal windows would tie up to the rounding of the matrix product, which differs by column on some processors, and a
    tie that rounding decides sends the whole gradient elsewhere.
    """
    x = rng.uniform(-0.43, -0.42, (4, 1, 28, 28))
    x[:, :, 6:22, 6:22] = rng.uniform(-0.4242, 2.8, (4, 1, 16, 16))
    return x


def shapes(arrays):
    return {name: a.shape for name, a in arrays.items()}


def assert_same_arrays(actual, expected):
    assert actual.keys() == expected.keys()
    for name, a in expected.items():
        np.testing.assert_array_equal(actual[name], a, err_msg=name)


def test_layers_come_in_the_order_of_the_network():
    assert list(SynaNN().layers) == [
        "conv1", "pool1", "relu1", "conv2", "conv2_drop", "pool2", "relu2", "flatten",
        "fc1", "relu3", "fc1_drop", "softmax", "fcn", "fcb", "fc2", "log_softmax",
    ]  # fmt: skip


def test_names_and_shapes_of_parameters_are_fixed():
    model = SynaNN()
    assert shapes(model.params) == PARAMS
    assert shapes(model.buffers) == BUFFERS
    assert shapes(model.state_dict()) == PARAMS | BUFFERS


def test_dropout_is_one_half_of_channels_and_of_units():
    layers = SynaNN().layers
    assert type(layers["conv2_drop"]) is Dropout2d
    assert type(layers["fc1_drop"]) is Dropout
    assert layers["conv2_drop"].p == layers["fc1_drop"].p == 0.5
    assert layers["conv2_drop"].seed != layers["fc1_drop"].seed


def test_initial_weights_are_within_one_over_root_of_the_fan_in():
    params = SynaNN().params
    fan_in = {"conv1": 25, "conv2": 250, "fc1": 320, "fc2": 64, "fcn": 64}
    for name, p in params.items():
        layer, key = name.split(".")
        if key in ("weight", "bias", "beta") and layer != "fcb":
            bound = fan_in[layer] ** -0.5
            assert np.abs(p).max() <= bound
            assert np.abs(p).max() > 0.7 * bound
    np.testing.assert_array_equal(params["fcn.alpha"], 1)
    np.testing.assert_array_equal(params["fcb.weight"], 1)
    np.testing.assert_array_equal(params["fcb.bias"], 0)


def test_the_same_seed_gives_the_same_weights_and_masks():
    first, second = SynaNN(seed=7), SynaNN(seed=7)
    assert_same_arrays(first.state_dict(), second.state_dict())
    for name in ("conv2_drop", "fc1_drop"):
        assert first.layers[name].seed == second.layers[name].seed


def test_another_seed_gives_other_weights_and_masks():
    first, second = SynaNN(seed=7), SynaNN(seed=8)
    for name in ("conv1.weight", "conv2.bias", "fc1.weight", "fcn.beta", "fc2.bias"):
        assert not np.array_equal(first.params[name], second.params[name])
    assert first.layers["fc1_drop"].seed != second.layers["fc1_drop"].seed


def test_the_default_seed_is_5():
    assert_same_arrays(SynaNN().state_dict(), SynaNN(seed=5).state_dict())


def test_float64_and_float32_start_from_the_same_numbers():
    narrow, wide = SynaNN(dtype="float32"), SynaNN(dtype="float64")
    for name, a in wide.state_dict().items():
        assert a.dtype == np.float64
        assert narrow.state_dict()[name].dtype == np.float32
        np.testing.assert_array_equal(narrow.state_dict()[name], a.astype("float32"))
    assert narrow.layers["fc1_drop"].seed == wide.layers["fc1_drop"].seed


@pytest.mark.parametrize("train", [False, True])
def test_float32_stays_float32_and_is_close_to_float64(train, images, rng):
    y, caches = SynaNN(dtype="float64").forward(images, train=train)
    model = SynaNN()
    y32, caches32 = model.forward(images.astype("float32"), train=train)
    dy = rng.standard_normal(y.shape)
    dx, grads = SynaNN(dtype="float64").backward(dy, caches)
    dx32, grads32 = model.backward(dy.astype("float32"), caches32)
    np.testing.assert_allclose(y32, y, atol=1e-4)
    for narrow, wide in ((dx32, dx), *((grads32[name], grads[name]) for name in PARAMS)):
        np.testing.assert_allclose(narrow, wide, atol=1e-3 * np.abs(wide).max())
    arrays = {"y": y32, "dx": dx32, **grads32, **model.params, **model.buffers}
    assert {name for name, a in arrays.items() if a.dtype != np.float32} == set()


@pytest.mark.parametrize("N", [1, 3])
def test_outputs_are_logarithms_of_probabilities(N, images):
    y, _ = SynaNN(dtype="float64").forward(images[:N])
    assert y.shape == (N, 10)
    np.testing.assert_allclose(np.exp(y).sum(axis=1), 1, rtol=1e-13)


def test_in_evaluation_rows_of_a_batch_do_not_mix(images):
    model = SynaNN(dtype="float64")
    y, _ = model.forward(images)
    for n in range(len(images)):
        np.testing.assert_allclose(model.forward(images[n : n + 1])[0], y[n : n + 1], rtol=1e-12)


@pytest.mark.parametrize("train", [False, True])
def test_the_gradient_of_the_loss_equals_numeric_gradients(train, images, rng):
    """Some elements of x and of every parameter, the masks held fixed by a fixed step.

    Along a sampled element the loss has kinks (relu, maximum); with the step of 1e-6 none is crossed here.
    """
    model = SynaNN(seed=5, dtype="float64")
    for name in ("fcn.alpha", "fcb.weight"):
        model.params[name][...] = rng.uniform(0.5, 1.5, 64)
    model.params["fcb.bias"][...] = rng.standard_normal(64)
    # Statistics of a trained network: the synapse's outputs are near 1/64.
    model.buffers["fcb.running_mean"][...] = 1 / 64
    model.buffers["fcb.running_var"][...] = rng.uniform(0.5, 2, 64) / 64**2
    model.layers["fc1"].params["weight"] *= 5  # softmax rows that differ
    labels = rng.integers(10, size=len(images))
    images = images + 0.01 * rng.standard_normal(images.shape)  # no ties

    def loss():
        return float(nll_loss(model.forward(images, train=train, step=3)[0], labels)[0])

    log_probs, caches = model.forward(images, train=train, step=3)
    dx, grads = model.backward(nll_loss(log_probs, labels)[1], caches)
    assert shapes(grads) == PARAMS
    h = 1e-6
    for name, a, g in [("x", images, dx), *((name, p, grads[name]) for name, p in model.params.items())]:
        assert g.shape == a.shape
        largest = np.unravel_index(np.abs(g).argmax(), g.shape)
        sample = [largest, *(tuple(rng.integers(size) for size in a.shape) for _ in range(2))]
        for index in sample:
            value = a[index]
            a[index] = value + h
            above = loss()
            a[index] = value - h
            below = loss()
            a[index] = value
            numeric = (above - below) / (2 * h)
            assert abs(g[index] - numeric) <= 1e-5 * abs(g[largest]) + 1e-9, f"{name}{list(map(int, index))}"


def test_evaluation_leaves_the_state_untouched(images):
    model = SynaNN(dtype="float64")
    before = model.state_dict()
    y, caches = model.forward(images)
    model.backward(y, caches)
    assert_same_arrays(model.state_dict(), before)


def test_training_moves_the_running_statistics_and_nothing_else(images):
    model = SynaNN(dtype="float64")
    before = model.state_dict()
    y, caches = model.forward(images, train=True)
    model.backward(y, caches)
    after = model.state_dict()
    assert {name for name in after if not np.array_equal(after[name], before[name])} == set(BUFFERS)


def test_images_are_not_modified(images):
    model = SynaNN(dtype="float64")
    images.flags.writeable = False
    y, caches = model.forward(images, train=True)
    model.backward(y, caches)


def test_the_step_selects_the_masks(images):
    model = SynaNN(dtype="float64")
    at_3 = model.forward(images, train=True, step=3)[0]
    np.testing.assert_array_equal(model.forward(images, train=True, step=3)[0], at_3)
    assert not np.array_equal(model.forward(images, train=True, step=4)[0], at_3)


def test_a_saved_state_gives_the_same_predictions(images):
    trained, fresh = SynaNN(seed=5), SynaNN(seed=6)
    x = images.astype("float32")
    trained.forward(x, train=True)
    fresh.load_state_dict(trained.state_dict())
    np.testing.assert_array_equal(fresh.forward(x)[0], trained.forward(x)[0])


@pytest.mark.parametrize("shape", [(28, 28), (2, 28, 28), (2, 3, 28, 28), (2, 784)])
def test_what_is_no_batch_of_grey_images_is_refused(shape):
    with pytest.raises(ValueError, match="expected input"):
        SynaNN().forward(np.zeros(shape, "float32"))


def test_images_of_another_size_are_refused_by_the_first_linear_layer():
    with pytest.raises(ValueError, match=r"Linear\(in_features=320"):
        SynaNN().forward(np.zeros((2, 1, 32, 32), "float32"))


def test_bytes_that_were_not_normalised_are_refused():
    with pytest.raises(TypeError, match="expected float32 input, like the weights, got uint8"):
        SynaNN().forward(np.zeros((2, 1, 28, 28), "uint8"))


VARIANTS = [
    (synapse, squash) for synapse in ("free", "logistic", "surprisal", "none") for squash in ("softmax", "sigmoid")
]


@pytest.mark.parametrize(("synapse", "squash"), [*VARIANTS, ("none", "none")])
def test_a_variant_starts_as_the_network_does_but_for_its_synapse(synapse, squash, images):
    model, network = SynaNN(dtype="float64", synapse=synapse, squash=squash), SynaNN(dtype="float64")
    assert ("fcn" in model.layers) == (synapse != "none")
    expected = [name for name in network.layers if name not in ("softmax", "fcn")]
    assert [name for name in model.layers if name not in (squash, "fcn")] == expected
    state, original = model.state_dict(), network.state_dict()
    for name in original:
        if not name.startswith("fcn"):
            np.testing.assert_array_equal(state[name], original[name], err_msg=name)
    for name in ("conv2_drop", "fc1_drop"):
        assert model.layers[name].seed == network.layers[name].seed
    y, caches = model.forward(images, train=True)
    dx, grads = model.backward(np.ones_like(y), caches)
    assert dx.shape == images.shape
    assert grads.keys() == model.params.keys()


@pytest.mark.parametrize(("synapse", "squash"), [("free", "none"), ("free", "tanh"), ("cubed", "softmax")])
def test_an_unknown_variant_is_refused(synapse, squash):
    with pytest.raises(ValueError, match="expected"):
        SynaNN(synapse=synapse, squash=squash)
