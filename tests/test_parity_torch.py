"""The package against PyTorch, live: random shapes, both dtypes, and twenty steps of the whole network."""

import zlib

import numpy as np
import pytest

from golden import cases
from synann_np.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Softmax,
    Synapse,
)
from synann_np.losses import nll_loss
from synann_np.optim import SGD

torch = pytest.importorskip("torch", reason="PyTorch is not installed: parity cannot be checked live")

from golden import record  # noqa: E402 - imports torch

DTYPES = ["float32", "float64"]


def size(rng, low, high):
    return int(rng.integers(low, high + 1))


def pair(rng, low, high):
    """An int half of the time, else a pair."""
    return size(rng, low, high) if rng.random() < 0.5 else (size(rng, low, high), size(rng, low, high))


def some_conv2d(rng, **options):
    channels, kernel, padding = size(rng, 1, 4), pair(rng, 1, 4), pair(rng, 0, 3)
    conv = Conv2d(channels, size(rng, 1, 5), kernel, pair(rng, 1, 3), padding, rng.random() < 0.5, **options)
    return conv, (size(rng, 1, 4), channels, size(rng, 4, 9), size(rng, 4, 9)), False


def some_max_pool(rng, **options):
    pool = MaxPool2d(pair(rng, 1, 4), None if rng.random() < 0.3 else pair(rng, 1, 4))
    return pool, (size(rng, 1, 4), size(rng, 1, 3), size(rng, 4, 9), size(rng, 4, 9)), False


def some_batch_norm(rng, **options):
    C, M, train = size(rng, 1, 6), size(rng, 4, 8), bool(rng.random() < 0.5)
    shape = [(M, C), (M, C, size(rng, 1, 4)), (M, C, size(rng, 1, 4), size(rng, 1, 4))][size(rng, 0, 2)]
    make = BatchNorm2d if len(shape) == 4 else BatchNorm1d
    return make(C, eps=10 ** rng.uniform(-5, -1), momentum=rng.uniform(0, 1), **options), shape, train


def some_linear(rng, **options):
    C = size(rng, 1, 9)
    return Linear(C, size(rng, 1, 9), rng.random() < 0.5, **options), (size(rng, 1, 6), C), False


def some_synapse(rng, **options):
    n = size(rng, 1, 12)
    return Synapse(n, **options), (size(rng, 1, 6), n), False


def some_shape(rng, least=1):
    return tuple(size(rng, 1, 5) for _ in range(size(rng, least, 4)))


RANDOM_LAYERS = {
    "Conv2d": some_conv2d,
    "MaxPool2d": some_max_pool,
    "BatchNorm": some_batch_norm,
    "Linear": some_linear,
    "Synapse": some_synapse,
    "ReLU": lambda rng, **options: (ReLU(), some_shape(rng), False),
    "Softmax": lambda rng, **options: (Softmax(), (*some_shape(rng), 5), False),
    "LogSoftmax": lambda rng, **options: (LogSoftmax(), (*some_shape(rng), 5), False),
    "Flatten": lambda rng, **options: (Flatten(), some_shape(rng, least=2), False),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RANDOM_LAYERS)
def test_layer_of_random_shape_computes_what_torch_computes(name, dtype):
    for seed in range(30):
        rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
        layer, shape, train = RANDOM_LAYERS[name](rng, dtype=dtype)
        inputs = {"x": cases.draw_input(layer, shape, rng)} | cases.draw_state(layer, rng)
        inputs["dy"] = rng.uniform(-1, 1, layer.forward(inputs["x"].astype(dtype), train)[0].shape)
        expected = record.torch_layer(layer, inputs, dtype, train)
        try:
            cases.assert_close(cases.run(layer, inputs, dtype, train), expected, dtype)
        except AssertionError as error:
            error.add_note(f"seed {seed}: {layer}, x {shape}, train={train}")
            raise


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", cases.LAYERS)
def test_layer_of_the_golden_cases_computes_what_torch_computes(name, dtype):
    make, _, train = cases.LAYERS[name]
    inputs = cases.layer_inputs(name)
    expected = record.torch_layer(make(dtype=dtype), inputs, dtype, train)
    cases.assert_close(cases.run_layer(name, inputs, dtype), expected, dtype)


def test_convolution_with_the_sizes_of_the_network_computes_what_torch_computes():
    rng = np.random.default_rng(0)
    for layer, shape in ((Conv2d(1, 10, 5), (7, 1, 28, 28)), (Conv2d(10, 20, 5), (7, 10, 12, 12))):
        inputs = {"x": rng.normal(size=shape)} | cases.draw_state(layer, rng)
        inputs["dy"] = rng.normal(size=layer.forward(inputs["x"].astype("float32"))[0].shape)
        expected = record.torch_layer(layer, inputs, "float32", False)
        cases.assert_close(cases.run(layer, inputs, "float32", False), expected, "float32")


@pytest.mark.parametrize("value", [0.0, -0.4242])
@pytest.mark.parametrize("arguments", [(2,), (3, 1), (3, 2), ((2, 3), (1, 2))])
def test_max_pooling_of_a_constant_image_gives_each_gradient_to_the_pixel_that_torch_gives_it_to(arguments, value):
    layer = MaxPool2d(*arguments)
    image = np.full((2, 2, 7, 8), value)
    image[1, :, 2:5, 3:5] = 1.0  # a plateau, ties above a constant background
    inputs = {"x": image, "dy": np.random.default_rng(0).uniform(1, 2, layer.forward(image)[0].shape)}
    expected = record.torch_layer(layer, inputs, "float64", False)
    results = cases.run(layer, inputs, "float64", False)
    np.testing.assert_array_equal(results["dx"] != 0, expected["dx"] != 0)
    cases.assert_close(results, expected, "float64")


def test_max_pooling_passes_nan_on_as_torch_does():
    x = np.random.default_rng(0).integers(0, 3, (2, 2, 6, 6)).astype("float64")
    x[0, 0, 1, 1] = x[0, 1, 4, 3] = x[0, 1, 5, 3] = np.nan
    inputs = {"x": x, "dy": np.arange(1.0, 17.0).reshape(2, 2, 2, 2)}
    layer = MaxPool2d(3, 2)
    expected = record.torch_layer(layer, inputs, "float64", False)
    for name, a in cases.run(layer, inputs, "float64", False).items():
        np.testing.assert_array_equal(a, expected[name], err_msg=name)
    assert np.isnan(expected["y"]).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_synapse_with_zero_and_negative_factors_computes_what_autograd_computes(dtype):
    rng = np.random.default_rng(0)
    layer = Synapse(6, dtype=dtype)
    inputs = cases.draw_state(layer, rng) | {"x": rng.uniform(0.25, 1, (5, 6)), "dy": rng.uniform(-1, 1, (5, 6))}
    inputs["beta"] = rng.uniform(-3, 3, (6, 6))
    inputs["x"][0, 0] = inputs["x"][0, 3] = inputs["x"][1, 2] = 0.5
    inputs["x"][2] = 0  # a softmax that underflowed
    inputs["beta"][2, [0, 3]] = inputs["beta"][4, 2] = 2  # 1 − βx = 0: two zeros in one product, and one alone
    expected = record.torch_layer(layer, inputs, dtype, False)
    factors = 1 - inputs["beta"] * inputs["x"][:, None]
    assert (factors == 0).sum() == 3
    assert (factors < 0).any()
    cases.assert_close(cases.run(layer, inputs, dtype, False), expected, dtype)


@pytest.mark.parametrize("layer", [Softmax(), LogSoftmax()])
def test_softmax_of_large_inputs_computes_what_torch_computes(layer):
    x = np.array([[1000.0, 999.0, -1000.0], [-800.0, -800.0, -801.0], [0.0, 50.0, -50.0]])
    inputs = {"x": x, "dy": np.random.default_rng(0).uniform(-1, 1, x.shape)}
    expected = record.torch_layer(layer, inputs, "float64", False)
    with np.errstate(under="ignore"):
        cases.assert_close(cases.run(layer, inputs, "float64", False), expected, "float64")


@pytest.mark.parametrize("dtype", DTYPES)
def test_nll_loss_and_its_gradient_are_those_of_torch(dtype):
    rng = np.random.default_rng(0)
    for N, K in ((1, 1), (1, 4), (6, 3), (100, 10)):
        log_probs, labels = rng.uniform(-4, 0, (N, K)), rng.integers(0, K, N)
        t = record.tensor(log_probs, dtype).requires_grad_()
        expected = torch.nn.functional.nll_loss(t, torch.from_numpy(labels))
        expected.backward()
        loss, dlog_probs = nll_loss(log_probs.astype(dtype), labels)
        cases.assert_close(
            {"loss": loss, "dlog_probs": dlog_probs},
            {"loss": record.to_numpy(expected), "dlog_probs": record.to_numpy(t.grad)},
            dtype,
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.1, 0.7, 1.0])
def test_label_smoothing_is_that_of_torchs_cross_entropy(smoothing, dtype):
    rng = np.random.default_rng(0)
    for N, K in ((1, 1), (1, 4), (6, 3), (100, 10)):
        logits, labels = rng.uniform(-4, 4, (N, K)), rng.integers(0, K, N)
        t = record.tensor(logits, dtype).requires_grad_()
        expected = torch.nn.functional.cross_entropy(t, torch.from_numpy(labels), label_smoothing=smoothing)
        expected.backward()
        layer = LogSoftmax()
        log_probs, cache = layer.forward(logits.astype(dtype))
        loss, dlog_probs = nll_loss(log_probs, labels, smoothing)
        np.testing.assert_allclose(loss, expected.item(), rtol=cases.TOLERANCE[dtype])
        dx = layer.backward(dlog_probs, cache)[0]
        np.testing.assert_allclose(dx, record.to_numpy(t.grad), atol=cases.TOLERANCE[dtype] / 100)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.03])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.5, False), (0.9, False), (0.5, True), (0.9, True)])
def test_ten_steps_of_sgd_move_parameters_as_those_of_torch_do(momentum, nesterov, weight_decay, dtype):
    rng = np.random.default_rng(0)
    options = {"lr": 0.1, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    params = {"w": rng.normal(size=(3, 4)).astype(dtype), "b": rng.normal(size=5).astype(dtype)}
    tensors = {name: torch.tensor(p).requires_grad_() for name, p in params.items()}
    ours, theirs = SGD(**options), torch.optim.SGD(tensors.values(), **options)
    for step in range(10):
        grads = {name: rng.normal(size=p.shape).astype(dtype) for name, p in params.items()}
        for name, g in grads.items():
            tensors[name].grad = torch.tensor(g)
        if step == 5:  # a schedule
            ours.lr = theirs.param_groups[0]["lr"] = 0.02
        ours.step(params, grads)
        theirs.step()
        cases.assert_close(params, {name: record.to_numpy(t) for name, t in tensors.items()}, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_twenty_steps_of_the_network_are_those_of_torch(dtype):
    losses, state = cases.run_network(dtype)
    torch_losses, torch_state = record.run_torch_network(dtype)
    cases.assert_close({"losses": losses}, {"losses": torch_losses}, dtype)
    cases.assert_close(state, torch_state, dtype)
    assert losses[-5:].mean() < losses[:5].mean()  # it learned; not twenty times nothing
    start = cases.initial_state(cases.network())
    assert [name for name, a in state.items() if np.abs(a - start[name]).max() < 1e-6] == []
