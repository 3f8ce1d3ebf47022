"""The compiled model against the plain one."""

import sys

import numpy as np
import pytest

from fast.loops.compiled import require
from synann_np import fast
from synann_np.fast import compile
from synann_np.fast.loops.batchnorm import FastBatchNorm
from synann_np.fast.loops.conv2d import FastConv2d
from synann_np.fast.loops.conv_pool_relu import ConvPoolReLU
from synann_np.fast.loops.maxpool2d import FastMaxPool2d
from synann_np.layers import (
    BatchNorm1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Synapse,
    SynapseRNN,
    SynapseTensor,
)
from synann_np.losses import nll_loss
from synann_np.models import MODELS, SynaNN
from synann_np.optim import SGD
from synann_np.sequential import Sequential


@pytest.fixture(autouse=True)
def a_compiler():
    require()


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


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_twenty_steps_equal_those_of_the_plain_model(threads, dtype, tolerance):
    plain, copy = SynaNN(dtype=dtype), SynaNN(dtype=dtype)
    losses, dx = train(plain, 20, dtype=dtype)
    fast_losses, fast_dx = train(compile(copy, threads=threads), 20, dtype=dtype)
    assert np.abs(losses - fast_losses).max() <= tolerance * np.abs(losses).max()
    assert np.abs(dx - fast_dx).max() <= tolerance * np.abs(dx).max()
    state = copy.state_dict()
    for name, a in plain.state_dict().items():
        assert np.abs(a - state[name]).max() <= tolerance * max(1, np.abs(a).max()), name


@pytest.mark.parametrize("N", [1, 2, 99, 230])
def test_evaluation_equals_the_plain_model_for_any_batch(N):
    model = SynaNN()
    x, _ = batch(N)
    expected, _ = model.forward(x)
    y, _ = compile(model, threads=2).forward(x)
    assert np.abs(y - expected).max() < 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_every_network_ends_with_the_same_bits_on_any_number_of_threads(name):
    states = []
    for threads in (1, 2, 3):
        model = MODELS[name]()
        losses, _ = train(compile(model, threads, input_gradient=False), 3, N=21)
        states.append((losses.tobytes(), *(a.tobytes() for a in model.state_dict().values())))
    assert states[1:] == states[:1] * 2


def kinds(model):
    return [type(layer) for layer in compile(model, 1).layers.values()]


def test_the_layers_of_the_repository_s_networks_have_twins():
    assert kinds(MODELS["synann"]())[:2] == [ConvPoolReLU, ConvPoolReLU]
    convolutions = [kind for kind in kinds(MODELS["cnn"]()) if kind in (ConvPoolReLU, FastConv2d, FastMaxPool2d)]
    assert convolutions == [ConvPoolReLU, FastConv2d, FastConv2d, FastMaxPool2d, FastConv2d, FastConv2d]
    assert kinds(MODELS["cnn"]()).count(FastBatchNorm) == 6


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ([Conv2d(1, 2, 5, stride=2), MaxPool2d(2), ReLU()], [Conv2d, FastMaxPool2d, ReLU]),
        ([Conv2d(1, 2, 5, padding=1), MaxPool2d(2), ReLU()], [FastConv2d, FastMaxPool2d, ReLU]),
        ([Conv2d(1, 2, 3, padding=3)], [Conv2d]),
        ([Conv2d(1, 2, 4), MaxPool2d(2), ReLU()], [ConvPoolReLU]),
        ([Conv2d(1, 2, 5), MaxPool2d(3), ReLU()], [FastConv2d, FastMaxPool2d, ReLU]),
        ([Conv2d(1, 2, 5), MaxPool2d(2, stride=1), ReLU()], [FastConv2d, MaxPool2d, ReLU]),
        ([Conv2d(1, 2, 5), ReLU(), MaxPool2d(2)], [FastConv2d, ReLU, FastMaxPool2d]),
        ([Conv2d(1, 2, 9), MaxPool2d(17)], [FastConv2d, MaxPool2d]),
        ([Conv2d(1, 2, 10), MaxPool2d(2), ReLU()], [ConvPoolReLU]),
    ],
    ids=str,
)
def test_only_what_fits_is_replaced_and_the_numbers_are_those_of_the_plain_model(first, expected):
    rng = np.random.default_rng(0)
    x, _labels = batch(5)
    names = [(f"layer{k}", layer) for k, layer in enumerate(first)]
    features = Flatten().forward(Sequential(names).forward(x)[0])[0].shape[1]
    layers = [*names, ("flatten", Flatten()), ("fc", Linear(features, 10, rng=rng)), ("log_softmax", LogSoftmax())]
    model = Sequential(layers)
    assert kinds(model)[: len(expected)] == expected
    compiled = compile(model, threads=2)
    y_plain, caches = model.forward(x, train=True)
    y, fast_caches = compiled.forward(x, train=True)
    assert np.abs(y - y_plain).max() < 1e-5
    dy = rng.standard_normal(y.shape).astype("float32")
    dx, grads = model.backward(dy, caches)
    fast_dx, fast_grads = compiled.backward(dy, fast_caches)
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


def test_parameters_are_shared_and_gradients_have_their_names():
    model = SynaNN()
    compiled = compile(model, threads=2, input_gradient=False)
    assert compiled.params.keys() == model.params.keys()
    assert all(compiled.params[name] is p for name, p in model.params.items())
    assert all(compiled.buffers[name] is b for name, b in model.buffers.items())
    log_probs, caches = compiled.forward(batch(8)[0], train=True)
    dx, grads = compiled.backward(log_probs, caches)
    assert dx is None
    assert grads.keys() == model.params.keys()


@pytest.mark.parametrize("name", MODELS)
def test_without_the_input_gradient_the_others_are_the_same(name):
    """Layers without parameters before the first one with some (flatten, rows) are left out of backward."""
    (x, _), found = batch(8), []
    for input_gradient in (True, False):
        compiled = compile(MODELS[name](), threads=1, input_gradient=input_gradient)
        y, caches = compiled.forward(x, train=True)
        found.append(compiled.backward(np.random.default_rng(3).standard_normal(y.shape, "float32"), caches))
    (dx, expected), (none, grads) = found
    assert dx.shape == x.shape
    assert none is None
    assert grads.keys() == expected.keys() == compiled.params.keys()
    assert all(np.array_equal(grads[key], expected[key]) for key in expected)


def test_compiling_leaves_the_model_s_own_layers_as_they_were():
    model = MODELS["mlp"]()
    compile(model, threads=1, input_gradient=False)
    x, _ = batch(8)
    y, caches = model.forward(x, train=True)
    assert model.backward(y, caches)[0].shape == x.shape


@pytest.mark.parametrize("side", [4, 5])
def test_images_too_small_for_one_window_are_refused_by_name(side):
    with pytest.raises(ValueError, match="6 by 6 pixels or more, got"):
        compile(SynaNN(), threads=1).forward(np.zeros((2, 1, side, side), "float32"))


def test_an_error_in_a_block_reaches_the_caller():
    compiled = compile(SynaNN(), threads=2)
    with pytest.raises(ValueError, match="Conv2d"):
        compiled.forward(np.zeros((8, 3, 28, 28), "float32"))
    assert compiled.forward(batch(8)[0])[0].shape == (8, 10)


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
        compiled = compile(model, threads=2)
        x, dy = np.random.default_rng(0).standard_normal((2, 130, 4))
        y, caches = model.forward(x)
        fast_y, fast_caches = compiled.forward(x)
        np.testing.assert_allclose(fast_y, y, rtol=1e-13, atol=1e-15)
        expected, _ = model.backward(dy, caches)
        np.testing.assert_allclose(compiled.backward(dy, fast_caches)[0], expected, rtol=1e-12, atol=1e-14)


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


def test_a_recurrent_synapse_behind_a_batch_norm_is_trained_as_in_the_plain_model():
    def network():
        rng = np.random.default_rng(1)
        layers = {
            "norm": BatchNorm1d(4, dtype="float64"),
            "sigmoid": Sigmoid(),
            "rnn": SynapseRNN(5, 6, rng=rng, dtype="float64"),
            "softmax": Softmax(),
        }
        return Sequential(list(layers.items()), "float64")

    rng = np.random.default_rng(2)
    x, dy = rng.standard_normal((7, 4, 5)), rng.standard_normal((7, 6))
    results = []
    for model in (network(), compile(network(), threads=2)):
        y, caches = model.forward(x, True)
        dx, grads = model.backward(dy, caches)
        results.append({"y": y, "dx": dx, **grads})
    for name, a in results[0].items():
        np.testing.assert_allclose(results[1][name], a, rtol=1e-10, atol=1e-12)


def test_a_layer_whose_loops_cannot_be_compiled_stays_as_it_is(monkeypatch):
    replace_layers = sys.modules[compile.__module__]
    all_loops = replace_layers.loops

    def some_loops(dtype, source, *constants):
        return None if source.stem == "batchnorm" else all_loops(dtype, source, *constants)

    monkeypatch.setattr(replace_layers, "loops", some_loops)
    model = SynaNN()
    compiled = compile(model, 1)
    assert compiled.layers["fcb"] is model.layers["fcb"]
    assert compiled.layers["fcn"] is not model.layers["fcn"]
    assert "relu2" in compile(MODELS["cnn"](), 1).layers  # it was to be computed with norm2


def test_tied_weights_stay_tied():
    rng = np.random.default_rng(0)
    first, second = Synapse(5, rng=rng), Synapse(5, rng=rng)
    second.params = first.params
    compiled = compile(Sequential([("first", first), ("second", second)]), 2)
    assert compiled.params["first.beta"] is compiled.params["second.beta"]


def test_the_model_and_the_process_are_left_as_they_are():
    import threadpoolctl

    model = SynaNN()
    before = threadpoolctl.threadpool_info(), dict(model.layers)
    compile(model, 2)
    assert (threadpoolctl.threadpool_info(), dict(model.layers)) == before


def test_the_report_names_every_layer_and_says_why_one_is_plain(monkeypatch):
    model = SynaNN()
    lines = fast.report(compile(model, 1)).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "conv1", "conv2", "flatten", "fc1", "relu3", "fc1_drop", "softmax", "fcn", "fcb", "fc2", "log_softmax",
    ]  # fmt: skip
    assert lines[0].endswith("compiled C loops (with pool1, relu1)")
    assert lines[7].endswith("compiled C loops")
    assert lines[3].endswith("plain: no faster twin")
    assert fast.report(model).splitlines()[0].endswith("plain: the model is not compiled")
    monkeypatch.setattr(sys.modules[compile.__module__], "working_compiler", lambda: None)
    assert compile(model, 1) is model
    assert fast.report(model).splitlines()[0].endswith("plain: no C compiler was found")


@pytest.mark.parametrize(
    "layer",
    [
        Conv2d(4, 4, 3, dilation=2),
        Conv2d(4, 4, 3, groups=2),
        Conv2d(4, 4, 2, padding="same"),
        MaxPool2d(2, padding=1),
        MaxPool2d(2, dilation=2),
        MaxPool2d(2, ceil_mode=True),
    ],
    ids=repr,
)
@pytest.mark.parametrize("alone", [True, False])
def test_a_layer_with_an_option_that_the_loops_do_not_know_stays_plain(layer, alone):
    """Alone, and where convolution, pooling and relu would become one layer."""
    chain = [
        layer if isinstance(layer, Conv2d) else Conv2d(4, 4, 3),
        layer if isinstance(layer, MaxPool2d) else MaxPool2d(2),
    ]
    model = Sequential([layer] if alone else [*chain, ReLU()])
    compiled = compile(model)
    assert layer in compiled.layers.values()
    x = np.random.default_rng(0).standard_normal((3, 4, 9, 9)).astype("float32")
    np.testing.assert_allclose(compiled.forward(x)[0], model.forward(x)[0], rtol=1e-5, atol=1e-6)


def test_a_convolution_of_padding_same_and_an_odd_kernel_runs_in_the_loops():
    model = Sequential([Conv2d(2, 3, (3, 5), padding="same")])
    compiled = compile(model)
    assert type(compiled.layers["0"]) is FastConv2d
    x = np.random.default_rng(0).standard_normal((3, 2, 6, 7)).astype("float32")
    np.testing.assert_allclose(compiled.forward(x)[0], model.forward(x)[0], rtol=1e-5, atol=1e-6)
