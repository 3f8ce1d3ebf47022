"""The CUDA twins of layers, run on the CPU by the emulator, against the plain layers in float64."""

import numpy as np
import pytest

from cuda_emulator import require
from fast.cuda.captured_device import captured_device
from synann_np.counter_random import key_halves
from synann_np.fast.cuda.layers.batchnorm import CudaBatchNorm
from synann_np.fast.cuda.layers.dropout import CudaDropout
from synann_np.fast.cuda.layers.pixels import CudaConv2d, CudaMaxPool2d
from synann_np.fast.cuda.layers.softmax import CudaSoftmax
from synann_np.fast.cuda.layers.synapse_rnn import CudaSynapseRNN
from synann_np.fast.cuda.layers.tanh_rnn import CudaRNN
from synann_np.layers import (
    RNN,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Dropout2d,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Softmax,
    SynapseRNN,
)
from synann_np.sequential import Sequential


@pytest.fixture
def device(monkeypatch):
    require()
    return captured_device(monkeypatch, emulated=True)


def assert_equal(device, make, twin_of, x_shape, tolerance=1e-12, train=True, positive=False):
    """make(backend) -> plain layer, and twin_of(that on the device) compute the same, forward and backward."""
    rng = np.random.default_rng(1)
    x = rng.random(x_shape) if positive else rng.normal(size=x_shape)
    results, dy = [], None
    for backend in ("numpy", device.backend):
        layer = make(backend)
        for name, p in layer.params.items():
            p += layer.backend.asarray(np.random.default_rng(len(name)).normal(size=p.shape) / 10)
        layer = layer if backend == "numpy" else twin_of(layer)
        on, host = layer.backend.asarray, layer.backend.to_host
        y, cache = layer.forward(on(x), train)
        dy = rng.normal(size=y.shape) if dy is None else dy
        dx, grads = layer.backward(on(dy), cache)
        found = {"y": y, "dx": dx} | {f"d{name}": g for name, g in grads.items()} | layer.buffers
        results.append({name: host(a) for name, a in found.items() if a is not None})
    assert results[1].keys() == results[0].keys() - ({"dx"} if dx is None else set())
    for name, a in results[1].items():
        expected = results[0][name]
        assert a.shape == expected.shape, name
        assert np.abs(a - expected).max(initial=0) <= tolerance * max(np.abs(expected).max(initial=0), 1e-3), name


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": (2, 3)}, {"padding": (1, 2)}, {"padding": "same"}, {"dilation": 2}, {"groups": 2}, {"bias": False}],
    ids=str,
)
def test_convolution_collects_the_gradient_of_its_pixels(device, options):
    def make(backend):
        return Conv2d(4, 6, (3, 2), rng=np.random.default_rng(3), dtype="float64", backend=backend, **options)

    assert_equal(device, make, lambda layer: CudaConv2d(layer, device.launcher), (3, 4, 7, 8))


def test_the_first_convolution_needs_no_gradient_of_its_input(device):
    def make(backend):
        return Conv2d(1, 2, 3, rng=np.random.default_rng(3), dtype="float64", backend=backend)

    assert_equal(device, make, lambda layer: CudaConv2d(layer, device.launcher, wants_dx=False), (2, 1, 5, 5))


@pytest.mark.parametrize(("kernel_size", "image"), [(2, (6, 8)), ((3, 2), (7, 9)), (1, (2, 3))])
def test_pooling_of_windows_side_by_side(device, kernel_size, image):
    def make(backend):
        return Sequential([MaxPool2d(kernel_size)], "float64", backend)

    def twin(model):
        return CudaMaxPool2d(model.layers["0"], device.launcher, device.backend)

    assert_equal(device, make, twin, (3, 2, *image))


def test_the_first_of_equal_pixels_wins_and_nan_wins_over_all(device):
    x = np.zeros((1, 1, 2, 6))
    x[0, 0, 0, 2], x[0, 0, 1, 3], x[0, 0, 1, 4] = 1, 1, np.nan
    twin = CudaMaxPool2d(MaxPool2d(2), device.launcher, device.backend)
    y, cache = twin.forward(device.backend.asarray(x))
    dx, _ = twin.backward(device.backend.asarray(np.array([[[[5.0, 6, 7]]]])), cache)
    assert device.backend.to_host(y).tolist()[0][0][0][:2] == [0, 1]
    assert np.isnan(device.backend.to_host(y)[0, 0, 0, 2])
    assert device.backend.to_host(dx)[0, 0].tolist() == [[5, 0, 6, 0, 0, 0], [0, 0, 0, 0, 7, 0]]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(
    ("kind", "shape"), [(BatchNorm1d, (9, 5)), (BatchNorm2d, (4, 3, 6, 5)), (BatchNorm1d, (4, 3, 2))]
)
def test_batch_norm_and_relu(device, kind, shape, relu, train):
    def make(backend):
        norm = kind(shape[1], momentum=0.3, dtype="float64", backend=backend)
        if relu and backend == "numpy":
            return Sequential([("n", norm), ("r", ReLU())], "float64", backend)
        return norm

    if relu:  # a model's arrays have its layers' names
        plain, twin = make("numpy"), CudaBatchNorm(make(device.backend), True, device.launcher)
        rng = np.random.default_rng(2)
        x, dy, to_host = rng.normal(size=shape), rng.normal(size=shape), device.backend.to_host
        y, caches = plain.forward(x, train)
        dx, grads = plain.backward(dy, caches)
        found, cache = twin.forward(device.backend.asarray(x), train)
        found_dx, found_grads = twin.backward(device.backend.asarray(dy), cache)
        for a, e in [(found, y), (found_dx, dx)] + [(found_grads[n], grads[f"n.{n}"]) for n in found_grads]:
            np.testing.assert_allclose(to_host(a), e, rtol=1e-11, atol=1e-13)
    else:
        assert_equal(device, make, lambda layer: CudaBatchNorm(layer, False, device.launcher), shape, train=train)


class StepOnDevice:
    """The number of a step as a captured step has it, whose key is on the device."""

    def __init__(self, backend, step):
        self.backend, self.step = backend, step

    def key(self, seed):
        return tuple(self.backend.asarray(np.array(half, "uint32")) for half in key_halves(seed, self.step))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1 - 2**-33, 1.0])
@pytest.mark.parametrize(("kind", "shape"), [(Dropout, (7, 50)), (Dropout, (1,)), (Dropout2d, (5, 60, 2, 3))])
def test_dropout_has_the_same_mask(device, kind, shape, p):
    layer, step = kind(p, seed=2**40 + 3), 12_345
    twin = CudaDropout(layer, device.launcher, device.backend)
    x, dy = (np.random.default_rng(seed).normal(size=shape) for seed in (1, 2))
    y, cache = layer.forward(x, True, step)
    found, found_cache = twin.forward(device.backend.asarray(x), True, StepOnDevice(device.backend, step))
    launches = device.cuda.launches
    dx, _ = twin.backward(device.backend.asarray(dy), found_cache)
    np.testing.assert_array_equal(device.backend.to_host(found), y)
    np.testing.assert_array_equal(device.backend.to_host(dx), layer.backward(dy, cache)[0])
    assert launches == 1
    np.testing.assert_array_equal(device.backend.to_host(twin.forward(device.backend.asarray(x), True, step)[0]), y)


EMPTY = {
    "Conv2d": (lambda **o: Conv2d(2, 3, 2, **o), CudaConv2d, (0, 2, 3, 4)),
    "RNN": (lambda **o: RNN(2, 3, **o), CudaRNN, (0, 4, 2)),
    "SynapseRNN": (lambda **o: SynapseRNN(2, 3, **o), CudaSynapseRNN, (0, 4, 2)),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_an_empty_batch(device, kind):
    make, twin, shape = EMPTY[kind]

    def layer_on(backend):
        return make(rng=np.random.default_rng(3), dtype="float64", backend=backend)

    assert_equal(device, layer_on, lambda layer: twin(layer, device.launcher), shape)


@pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
@pytest.mark.parametrize("shape", [(3, 1), (9, 10), (1, 33), (2, 3, 70), (0, 4)])
def test_softmax_and_log_softmax_of_rows(device, kind, shape):
    def make(backend):
        return Sequential([kind()], "float64", backend)

    assert_equal(device, make, lambda model: CudaSoftmax(model.layers["0"], device.launcher, device.backend), shape)


@pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
def test_softmax_of_large_and_infinite_numbers(device, kind):
    x = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -2e4], [0, -np.inf, 1], [0, np.nan, 1], [np.inf, 0, 1]])
    with np.errstate(all="ignore"):
        expected = kind().forward(x)[0]
    y = device.backend.to_host(
        CudaSoftmax(kind(), device.launcher, device.backend).forward(device.backend.asarray(x))[0]
    )
    np.testing.assert_allclose(y, expected, rtol=1e-14)


@pytest.mark.parametrize("options", [
    {}, {"leak": False}, {"return_sequences": True}, {"truncate": 2}, {"parametrisation": "free", "train_alpha": False},
    {"return_sequences": True, "truncate": 3, "parametrisation": "surprisal"}, {"gain": 3.0, "beta_gain": 2.0},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("units", [5, 70])
def test_the_recurrent_synapse(device, units, options):
    def make(backend):
        rng = np.random.default_rng(3)
        return SynapseRNN(4, units, rng=rng, dtype="float64", backend=backend, **options)

    assert_equal(device, make, lambda layer: CudaSynapseRNN(layer, device.launcher), (3, 5, 4), 1e-10)


@pytest.mark.parametrize(
    "options", [{}, {"return_sequences": True}, {"truncate": 2}, {"return_sequences": True, "truncate": 3}], ids=str
)
@pytest.mark.parametrize(("N", "T", "units"), [(1, 1, 1), (3, 5, 5), (2, 4, 70), (5, 7, 64)])
def test_the_plain_recurrent_layer(device, N, T, units, options):
    def make(backend):
        return RNN(4, units, rng=np.random.default_rng(3), dtype="float64", backend=backend, **options)

    assert_equal(device, make, lambda layer: CudaRNN(layer, device.launcher), (N, T, 4), 1e-13)


def test_the_recurrent_synapse_with_factors_of_zero(device):
    """h reaches 1/β to the bit where e = 1 and g = 1."""

    def make(backend):
        layer = SynapseRNN(2, 4, True, parametrisation="free", leak=False, dtype="float64", backend=backend)
        layer.params["weight"][...] = 0
        layer.params["bias"][...] = 0
        layer.params["beta"][...] = 0
        layer.params["beta"][0, :2] = 2.0
        layer.params["beta"][1, 1] = 2.0
        return layer

    x, results = np.zeros((2, 4, 2)), []
    for backend in ("numpy", device.backend):
        layer = make(backend)
        layer = layer if backend == "numpy" else CudaSynapseRNN(layer, device.launcher)
        y, cache = layer.forward(layer.backend.asarray(x))
        dx, grads = layer.backward(layer.backend.asarray(np.ones(y.shape)), cache)
        results.append({n: layer.backend.to_host(a) for n, a in ({"y": y, "dx": dx} | grads).items()})
    assert 0 in results[0]["y"]
    for name, a in results[0].items():
        np.testing.assert_allclose(results[1][name], a, rtol=1e-12, atol=1e-14, err_msg=name)
