"""The compiled model against the plain one."""

import numpy as np
import pytest

from fast.c.compiled import require
from synann_np.data import normalise
from synann_np.fast import compile, usable_cores
from synann_np.fast.blocks import ConvPoolReluBlock, LayerBlock
from synann_np.fast.conv_pool_relu import ConvPoolRelu
from synann_np.fast.loops.conv_pool_relu import CompiledConvPoolRelu
from synann_np.fast.loops.synapse import CompiledSynapse
from synann_np.fast.pixels import normalised
from synann_np.fast.synapse import FastSynapse
from synann_np.layers import (
    Conv2d,
    Flatten,
    Layer,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Synapse,
    SynapseTensor,
)
from synann_np.losses import nll_loss
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.sequential import Sequential


def batch(N, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, 1, 28, 28)).astype(dtype)
    return x, rng.integers(0, 10, N)


def train(model, steps, N=30, dtype="float32"):
    optimizer, losses = SGD(0.012, 0.5), []
    for step in range(steps):
        x, labels = batch(N, dtype, step)
        log_probs, caches = model.forward(x, train=True, step=step)
        loss, dlog_probs = nll_loss(log_probs, labels)
        dx, grads = model.backward(dlog_probs, caches)
        optimizer.step(model.params, grads)
        losses.append(float(loss))
    return np.array(losses), dx


@pytest.fixture(params=["with C", "without"])
def with_c(request, monkeypatch):
    """Whether loops in C are used; without them NumPy does it all."""
    if request.param == "with C":
        require()
    else:
        monkeypatch.setenv("SYNANN_C", "0")
    return request.param == "with C"


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_twenty_steps_equal_those_of_the_plain_model(threads, dtype, tolerance, with_c):
    plain, copy = SynaNN(dtype=dtype), SynaNN(dtype=dtype)
    losses, dx = train(plain, 20, dtype=dtype)
    fast_losses, fast_dx = train(compile(copy, threads=threads), 20, dtype=dtype)
    assert np.abs(losses - fast_losses).max() <= tolerance * np.abs(losses).max()
    assert np.abs(dx - fast_dx).max() <= tolerance * np.abs(dx).max()
    state = copy.state_dict()
    for name, a in plain.state_dict().items():
        assert np.abs(a - state[name]).max() <= tolerance * max(1, np.abs(a).max()), name


@pytest.mark.parametrize("N", [1, 2, 99, 100, 101, 230])
def test_evaluation_equals_the_plain_model_for_any_batch(N, with_c):
    model = SynaNN()
    x, _ = batch(N)
    expected, _ = model.forward(x)
    y, _ = compile(model, threads=2).forward(x)
    assert np.abs(y - expected).max() < 1e-5


def test_the_patterns_are_recognised(with_c):
    model = compile(SynaNN(), threads=1)
    blocks = model.by_rows
    assert [type(block) for block in blocks[:2]] == [ConvPoolReluBlock, ConvPoolReluBlock]
    assert type(blocks[-1].layer) is (CompiledSynapse if with_c else FastSynapse)
    assert model.joint.layers.keys() == {"fcb", "fc2", "log_softmax"}
    model.forward(batch(2)[0])
    ways = {type(way) for block in blocks[:2] for way in block.ways.values()}
    assert ways == {CompiledConvPoolRelu if with_c else ConvPoolRelu}


@pytest.mark.parametrize(
    "first",
    [
        [("conv", Conv2d(1, 2, 5, stride=2)), ("pool", MaxPool2d(2)), ("relu", ReLU())],
        [("conv", Conv2d(1, 2, 5, padding=1)), ("pool", MaxPool2d(2)), ("relu", ReLU())],
        [("conv", Conv2d(1, 2, 4)), ("pool", MaxPool2d(2)), ("relu", ReLU())],
        [("conv", Conv2d(1, 2, 5)), ("pool", MaxPool2d(3)), ("relu", ReLU())],
        [("conv", Conv2d(1, 2, 5)), ("relu", ReLU()), ("pool", MaxPool2d(2))],
        [("conv", Conv2d(1, 2, 5))],
    ],
    ids=["stride", "padding", "even kernel", "pool of 3", "other order", "convolution alone"],
)
def test_what_is_not_the_pattern_runs_as_plain_layers(first):
    rng = np.random.default_rng(0)
    x, _labels = batch(5)
    flatten = Flatten()
    features = flatten.forward(Sequential(first).forward(x)[0])[0].shape[1]
    layers = [*first, ("flatten", flatten), ("fc", Linear(features, 10, rng=rng)), ("log_softmax", LogSoftmax())]
    model = Sequential(layers)
    fast = compile(model, threads=2)
    assert all(type(block) is LayerBlock for block in fast.by_rows)
    expected, caches = model.forward(x, train=True)
    y, fast_caches = fast.forward(x, train=True)
    assert np.abs(y - expected).max() < 1e-5
    dy = rng.standard_normal(y.shape).astype("float32")
    dx, grads = model.backward(dy, caches)
    fast_dx, fast_grads = fast.backward(dy, fast_caches)
    assert fast_grads.keys() == grads.keys()
    assert np.abs(dx - fast_dx).max() < 1e-5
    assert all(np.abs(grads[name] - fast_grads[name]).max() < 1e-4 for name in grads)


class Doubled(Synapse):
    """A user's own layer, made from one that is recognised."""

    def forward(self, x, train=False):
        y, cache = super().forward(x, train)
        return 2 * y, cache


class StepNumber(ReLU):
    """A user's own layer that wants to know the step."""

    draws_masks = True

    def forward(self, x, train=False, step=0):
        return x + step, None


def test_layers_of_the_user_are_not_taken_for_those_that_they_derive_from():
    rng = np.random.default_rng(0)
    layers = [("step", StepNumber()), ("synapse", Doubled(6, rng=rng)), ("fc", Linear(6, 2, rng=rng))]
    model = Sequential(layers)
    x = rng.random((4, 6)).astype("float32")
    expected, _ = model.forward(x, True, step=7)
    y, _ = compile(model, threads=1).forward(x, True, step=7)
    assert np.array_equal(y, expected)


def test_limits_in_the_environment_are_respected(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "nonsense")
    cores = usable_cores()
    assert cores >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert usable_cores() == 1


def test_parameters_are_shared_and_gradients_have_their_names():
    model = SynaNN()
    fast = compile(model, threads=2, input_gradient=False)
    assert all(fast.params[name] is p for name, p in model.params.items())
    log_probs, caches = fast.forward(batch(8)[0], train=True)
    dx, grads = fast.backward(log_probs, caches)
    assert dx is None
    assert grads.keys() == model.params.keys()


@pytest.mark.parametrize("threads", [1, 2])
def test_equal_settings_give_equal_bits(threads):
    states = []
    for _ in range(2):
        model = SynaNN()
        train(compile(model, threads=threads), 3, N=110)
        states.append(b"".join(a.tobytes() for a in model.state_dict().values()))
    assert states[0] == states[1]


@pytest.mark.parametrize("side", [4, 5])
def test_images_too_small_for_one_window_are_refused_by_name(side):
    with pytest.raises(ValueError, match="6 by 6 pixels or more, got"):
        compile(SynaNN(), threads=1).forward(np.zeros((2, 1, side, side), "float32"))


def test_an_error_in_a_block_reaches_the_caller():
    fast = compile(SynaNN(), threads=2)
    with pytest.raises(ValueError, match="Conv2d"):
        fast.forward(np.zeros((8, 3, 28, 28), "float32"))
    assert fast.forward(batch(8)[0])[0].shape == (8, 10)


def test_the_environment_switches_everything_to_plain(monkeypatch):
    model = SynaNN()
    monkeypatch.setenv("SYNANN_FAST", "0")
    assert compile(model) is model


def test_no_thread_is_refused():
    with pytest.raises(ValueError, match="at least one thread"):
        compile(SynaNN(), threads=0)


def test_a_layer_that_mixes_rows_sees_the_whole_batch():
    class Centred(Layer):
        """y = x − mean of the batch"""

        mixes_rows = True

        def forward(self, x, train=False):
            return x - x.mean(axis=0), None

        def backward(self, dy, cache):
            return dy - dy.mean(axis=0), {}

    for mixing in (Centred(), Sequential([("centred", Centred())], "float64")):
        model = Sequential([("relu", ReLU()), ("mixing", mixing), ("log", LogSoftmax())], "float64")
        fast = compile(model, threads=2)
        x, dy = np.random.default_rng(0).standard_normal((2, 130, 4))
        y, caches = model.forward(x)
        fast_y, fast_caches = fast.forward(x)
        np.testing.assert_allclose(fast_y, y, rtol=1e-13, atol=1e-15)
        expected, _ = model.backward(dy, caches)
        np.testing.assert_allclose(fast.backward(dy, fast_caches)[0], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_of_images_are_taken_as_the_numbers_that_they_stand_for(threads, dtype):
    images = np.random.default_rng(0).integers(0, 256, (130, 28, 28), "uint8")
    assert np.array_equal(normalised(images, dtype), normalise(images, dtype))
    results = []
    for x in (images, normalise(images, dtype)):
        fast = compile(SynaNN(dtype=dtype), threads=threads)
        y, caches = fast.forward(x, True, 3)
        evaluated, evaluation = fast.forward(x)
        dx, grads = fast.backward(y, caches)
        results.append([y, evaluated, dx, *grads.values(), fast.backward(y, evaluation)[0]])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())
    assert compile(SynaNN(), threads=1).input_dtype == "uint8"


def test_a_layer_made_of_layers_is_trained_as_in_the_plain_model():
    def network():
        rng = np.random.default_rng(1)
        layers = {
            "conv": Conv2d(1, 3, 5, rng=rng, dtype="float64"),
            "pool": MaxPool2d(2),
            "relu": ReLU(),
            "flatten": Flatten(),
            "fc": Linear(432, 6, rng=rng, dtype="float64"),
            "sigmoid": Sigmoid(),
            "tensor": SynapseTensor(6, (4,), rng=rng, dtype="float64"),
            "fc2": Linear(6, 10, rng=rng, dtype="float64"),
            "log_softmax": LogSoftmax(),
        }
        return Sequential(list(layers.items()), "float64")

    losses = [train(model, 4, dtype="float64")[0] for model in (network(), compile(network(), threads=2))]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)
