"""The device of the tests refuses what it says it refuses, and the whole package runs on it."""

import inspect
from itertools import product

import numpy as np
import pytest

import strict_device
from synann_np.backend import array_module, get_backend
from synann_np.data import batches, class_counts
from synann_np.layers import (
    ELU,
    GELU,
    RNN,
    SELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    GroupNorm,
    Hardtanh,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Normalize,
    ReLU,
    Residual,
    Rows,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Synapse,
    SynapseRNN,
    SynapseTensor,
    Tanh,
)
from synann_np.losses import nll_loss
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.train import fit

NUMPY = get_backend("numpy")
BACKEND = strict_device.backend()


@pytest.fixture
def x():
    return BACKEND.asarray(np.arange(12.0, dtype="float32").reshape(3, 4))


# ---- the device itself


REFUSED = {
    "np.asarray": (TypeError, "Implicit conversion", np.asarray),
    "np.array": (TypeError, "Implicit conversion", lambda x: np.array(x, dtype="float32")),
    "a NumPy ufunc": (TypeError, "does not support ufuncs", np.exp),
    "a NumPy function": (TypeError, "numpy.sum of a device array", np.sum),
    "host array on the right": (TypeError, "host array", lambda x: x + np.ones(4, "float32")),
    "host array on the left": (TypeError, "host array", lambda x: np.ones(4, "float32") * x),
    "host array in a product": (TypeError, "host array", lambda x: np.ones((2, 3), "float32") @ x),
    "host array in place": (TypeError, "host array", lambda x: x.__iadd__(np.ones(4, "float32"))),
    "device array added to a host array in place": (TypeError, None, lambda x: np.ones((3, 4)).__iadd__(x)),
    "host array in a function": (TypeError, "host array", lambda x: strict_device.maximum(x, np.ones(4, "float32"))),
    "host array in a list": (TypeError, "host array", lambda x: strict_device.concatenate([x, np.ones((3, 4), "f")])),
    "host array as a keyword": (TypeError, "host array", lambda x: strict_device.exp(x, out=np.ones((3, 4), "f"))),
    "host array in a method": (TypeError, "host array", lambda x: x.take(np.arange(2))),
    "host array as an index": (TypeError, "host array", lambda x: x[np.arange(2)]),
    "host array in an index": (TypeError, "host array", lambda x: x[:, np.arange(2)]),
    "list as an index": (TypeError, "list", lambda x: x[[0, 1]]),
    "list in an expression": (TypeError, "list", lambda x: strict_device.maximum(x, [1, 2, 3, 4])),
    "host array as a value": (TypeError, "host array", lambda x: x.__setitem__(0, np.ones(4, "float32"))),
    "float": (RuntimeError, "float.* waits", lambda x: float(x.sum())),
    "int": (RuntimeError, "int.* waits", lambda x: int(x.sum())),
    "bool": (RuntimeError, "bool.* waits", lambda x: bool(x.sum() > 0)),
    "an if": (RuntimeError, "bool.* waits", lambda x: 1 if (x == x).all() else 0),
    "a Python index": (TypeError, "integers or slices", lambda x: range(5)[x.argmax()]),
    "item": (RuntimeError, "item.* waits", lambda x: x.sum().item()),
    "tolist": (RuntimeError, "tolist.* waits", lambda x: x.tolist()),
    "iteration": (RuntimeError, "iteration waits", list),
    "unpacking": (RuntimeError, "iteration waits", lambda x: (lambda *rows: rows)(*x)),
    "format": (TypeError, "format", lambda x: f"{x.sum():.4f}"),
    "reading a boolean mask": (RuntimeError, "mask waits", lambda x: x[x > 1]),
    "writing a boolean mask": (RuntimeError, "mask waits", lambda x: x.__setitem__(x > 1, 0)),
    "index array out of range": (IndexError, "out of bounds", lambda x: x[BACKEND.asarray([0, 3])]),
    "duplicate indices": (IndexError, "duplicate", lambda x: x.__setitem__(BACKEND.asarray([0, 0]), 1)),
    "duplicate pairs of indices": (
        IndexError,
        "duplicate",
        lambda x: x.__setitem__((BACKEND.asarray([0, 1, 0]), BACKEND.asarray([2, 2, 2])), 1),
    ),
    "float64 array": (TypeError, "float64 creeps in", lambda x: x * BACKEND.asarray(np.ones(4))),
    "float64 array in place": (TypeError, "float64 creeps in", lambda x: x.__isub__(BACKEND.asarray(np.ones(4)))),
    "float64 scalar of NumPy": (TypeError, "float64 creeps in", lambda x: x * np.sqrt(2.0)),
    "float64 scalar of NumPy on the left": (TypeError, "float64 creeps in", lambda x: np.sqrt(2.0) * x),
    "float64 in a function": (TypeError, "float64 creeps in", lambda x: strict_device.maximum(x, np.float64(0))),
    "float64 value": (TypeError, "float64 creeps in", lambda x: x.__setitem__(0, np.float64(1))),
    "64-bit integers into float32": (TypeError, "float64 creeps in", lambda x: x * strict_device.arange(4)),
    "64-bit integers in place": (TypeError, "float64 creeps in", lambda x: x.__iadd__(strict_device.arange(4))),
    "narrowing in place": (TypeError, "same_kind", lambda x: strict_device.arange(4).__iadd__(x[0].astype("float64"))),
    "hash": (TypeError, "unhashable", lambda x: {x}),
    "a name that is not in the lists": (
        AttributeError,
        "no 'apply_along_axis'",
        lambda x: strict_device.apply_along_axis,
    ),
    "a method that is not in the lists": (AttributeError, "setflags", lambda x: x.setflags(write=False)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_device_refuses(case, x):
    error, message, act = REFUSED[case]
    with pytest.raises(error, match=message):
        act(x)


def test_the_way_to_the_host_is_open_where_asked_for(x):
    assert type(BACKEND.to_host(x)) is np.ndarray
    with strict_device.allow_sync():
        assert float(x.sum()) == 66
        assert x[1, 2].item() == 6
        assert x[0].tolist() == [0, 1, 2, 3]
        assert [type(row) for row in x] == [strict_device.ndarray] * 3
        assert x[x > 9].shape == (2,)
    with pytest.raises(RuntimeError):
        float(x.sum())


def test_host_and_device_share_no_memory(x):
    host = np.ones(3)
    device = BACKEND.asarray(host)
    host[0] = 5
    BACKEND.to_host(device)[1] = 5
    np.testing.assert_array_equal(BACKEND.to_host(device), 1)


def test_device_computes_as_numpy(x):
    xp, host = array_module(x), BACKEND.to_host(x)
    assert xp is strict_device
    for device_result, expected in (
        (2.0 * x - x / 3 + (x > 1) * -x, 2.0 * host - host / 3 + (host > 1) * -host),
        (x.T @ x, host.T @ host),
        (x.mean(axis=0, keepdims=True), host.mean(axis=0, keepdims=True)),
        (xp.where(x > 3, x, 0), np.where(host > 3, host, 0)),
        (x[1:, ::2], host[1:, ::2]),
        (x[xp.arange(3), BACKEND.asarray([3, 0, 3])], host[[0, 1, 2], [3, 0, 3]]),
        (x.sum(), host.sum()),
        (x.astype("float64") + 1, host.astype("float64") + 1),
        ((x > 3) & (x < 5) | ~(x != 0), (host > 3) & (host < 5) | ~(host != 0)),
        (xp.arange(5, dtype="uint32") ^ 0xFFFFFFFF, np.arange(5, dtype="uint32") ^ 0xFFFFFFFF),
    ):
        assert type(device_result) is strict_device.ndarray
        assert device_result.dtype == expected.dtype
        np.testing.assert_array_equal(BACKEND.to_host(device_result), expected)
    x[1] += 10
    x[BACKEND.asarray([0, 2])] = 7
    np.testing.assert_array_equal(BACKEND.to_host(x), [[7] * 4, [14, 15, 16, 17], [7] * 4])


def test_cupy_has_every_name_of_the_device():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: its names cannot be compared")
    names = strict_device.FUNCTIONS + strict_device.CONSTANTS + ["array", "asarray", "asnumpy", "ndarray"]
    methods = strict_device.METHODS + strict_device.ATTRIBUTES + strict_device.SYNCHRONISE
    operators = [f"__{name}__" for name in strict_device.BINARY + strict_device.COMPARISONS_AND_UNARY]
    assert [name for name in names if not hasattr(cupy, name)] == []
    assert [name for name in methods + operators if not hasattr(cupy.ndarray, name)] == []
    theirs = inspect.signature(cupy.lib.stride_tricks.as_strided).parameters
    assert list(theirs)[:3] == ["x", "shape", "strides"]


# ---- the package on the device


LAYERS = {
    "Linear": (lambda **o: Linear(5, 3, **o), (4, 5)),
    "Linear without bias": (lambda **o: Linear(5, 3, bias=False, **o), (1, 5)),
    "Conv2d": (lambda **o: Conv2d(2, 3, 3, **o), (4, 2, 6, 7)),
    "Conv2d with stride and padding": (lambda **o: Conv2d(2, 3, (3, 2), (2, 1), (1, 2), bias=False, **o), (1, 2, 6, 7)),
    "Synapse": (lambda **o: Synapse(5, **o), (4, 5)),
    "Synapse, logistic": (lambda **o: Synapse(5, "logistic", **o), (4, 5)),
    "Synapse, surprisal": (lambda **o: Synapse(5, "surprisal", False, **o), (4, 5)),
    "SynapseRNN": (lambda **o: SynapseRNN(5, 3, **o), (2, 4, 5)),
    "SynapseRNN, bare, of all states": (lambda **o: SynapseRNN(5, 3, True, 2, "free", False, False, **o), (2, 4, 5)),
    "RNN": (lambda **o: RNN(5, 3, **o), (2, 4, 5)),
    "RNN of all states": (lambda **o: RNN(5, 3, True, 2, **o), (2, 4, 5)),
    "Rows": (lambda **o: Rows(), (4, 1, 3, 5)),
    "SynapseTensor": (lambda **o: SynapseTensor(5, (3, 2), **o), (4, 5)),
    "BatchNorm1d": (lambda **o: BatchNorm1d(5, **o), (4, 5)),
    "BatchNorm1d of sequences": (lambda **o: BatchNorm1d(5, **o), (4, 5, 3)),
    "BatchNorm2d": (lambda **o: BatchNorm2d(5, **o), (4, 5, 3, 2)),
    "MaxPool2d": (lambda **o: MaxPool2d(2), (4, 3, 5, 6)),
    "MaxPool2d with overlap": (lambda **o: MaxPool2d((3, 2), (2, 1)), (4, 3, 7, 6)),
    "MaxPool2d with large windows": (lambda **o: MaxPool2d(17, 1), (2, 1, 18, 18)),
    "Sigmoid": (lambda **o: Sigmoid(), (4, 5)),
    "ReLU": (lambda **o: ReLU(), (4, 5)),
    "Softmax": (lambda **o: Softmax(), (4, 5)),
    "LogSoftmax": (lambda **o: LogSoftmax(), (4, 5)),
    "Dropout": (lambda **o: Dropout(0.3, rng=o["rng"]), (4, 5)),
    "Dropout of everything": (lambda **o: Dropout(1.0, rng=o["rng"]), (4, 5)),
    "Dropout2d": (lambda **o: Dropout2d(0.5, rng=o["rng"]), (4, 5, 3, 2)),
    "Normalize": (lambda **o: Normalize(5, **o), (4, 5, 3)),
    "Linear of sequences": (lambda **o: Linear(5, 3, **o), (2, 4, 5)),
    "Conv2d, dilated, in groups": (lambda **o: Conv2d(4, 6, 3, dilation=2, groups=2, **o), (3, 4, 7, 8)),
    "Conv2d, same": (lambda **o: Conv2d(2, 3, (3, 2), padding="same", **o), (3, 2, 4, 5)),
    "Synapse, zero diagonal": (lambda **o: Synapse(5, zero_diagonal=True, **o), (4, 5)),
    "LayerNorm": (lambda **o: LayerNorm((3, 4), **o), (5, 3, 4)),
    "GroupNorm": (lambda **o: GroupNorm(2, 4, **o), (3, 4, 2, 3)),
    "MaxPool2d with padding": (lambda **o: MaxPool2d(3, 2, 1, 1, True), (2, 3, 6, 7)),
    "AvgPool2d": (lambda **o: AvgPool2d(3, 2, 1, True, False), (2, 3, 6, 7)),
    "AdaptiveAvgPool2d": (lambda **o: AdaptiveAvgPool2d((2, 3)), (2, 3, 5, 4)),
    "AdaptiveMaxPool2d": (lambda **o: AdaptiveMaxPool2d((2, 3)), (2, 3, 5, 4)),
    "Residual": (lambda **o: Residual(Linear(5, 5, **o)), (4, 5)),
    "Softmax of channels": (lambda **o: Softmax(1), (4, 5, 3)),
    "Tanh": (lambda **o: Tanh(), (4, 5)),
    "LeakyReLU": (lambda **o: LeakyReLU(), (4, 5)),
    "ELU": (lambda **o: ELU(), (4, 5)),
    "SELU": (lambda **o: SELU(), (4, 5)),
    "SiLU": (lambda **o: SiLU(), (4, 5)),
    "GELU": (lambda **o: GELU(), (4, 5)),
    "GELU, tanh": (lambda **o: GELU("tanh"), (4, 5)),
    "Softplus": (lambda **o: Softplus(2.0), (4, 5)),
    "Hardtanh": (lambda **o: Hardtanh(), (4, 5)),
    "Flatten": (lambda **o: Flatten(), (4, 5, 3, 2)),
}


def test_every_layer_has_a_case():
    import synann_np.layers

    assert {case.split()[0].strip(",") for case in LAYERS} == set(synann_np.layers.__all__) - {"Layer", "SynapseGraph"}


def run_layer(case, backend, dtype, train):
    """One forward and one backward call: dict of host arrays."""
    make, shape = LAYERS[case]
    rng = np.random.default_rng(11)
    layer = make(rng=rng, dtype=dtype, backend=backend)
    for p in layer.params.values():
        p += backend.asarray(rng.uniform(0, 0.1, p.shape), dtype)
    x = rng.uniform(0, 1, shape) if "Synapse" in case else rng.integers(-3, 4, shape)  # integers: ties in windows
    y, cache = layer.forward(backend.asarray(x, dtype), train)
    dx, grads = layer.backward(backend.asarray(rng.normal(size=y.shape), dtype), cache)
    results = {"y": y, "dx": dx} | {f"d{k}": g for k, g in grads.items()} | layer.buffers
    assert {array_module(a) for a in results.values()} == {backend.xp}
    return {name: backend.to_host(a) for name, a in results.items()}


def assert_same(results, expected):
    assert results.keys() == expected.keys()
    for name, a in expected.items():
        assert results[name].dtype == a.dtype, name
        np.testing.assert_array_equal(results[name], a, err_msg=name)


@pytest.mark.parametrize("case", LAYERS)
def test_layer_on_the_device_equals_numpy_bit_for_bit(case):
    for dtype, train in product(("float32", "float64"), (False, True)):
        results = run_layer(case, BACKEND, dtype, train)
        assert {a.dtype for a in results.values()} == {np.dtype(dtype)}
        assert_same(results, run_layer(case, NUMPY, dtype, train))


def test_synapse_on_the_device_with_zero_and_negative_factors_equals_numpy():
    results = []
    for backend in (NUMPY, BACKEND):
        layer = Synapse(4, backend=backend)
        layer.params["beta"][...] = backend.asarray([[2, 1, 4, -1]] * 4, "float32")
        y, cache = layer.forward(backend.asarray([[0.5, 1.0, 0.25, 0.0], [1, 0.5, 0.75, 0.25]], "float32"), True)
        dx, grads = layer.backward(backend.asarray(np.ones((2, 4)), "float32"), cache)
        results.append({k: backend.to_host(a) for k, a in {"y": y, "dx": dx, **grads}.items()})
    assert_same(results[1], results[0])


@pytest.mark.parametrize("rule", [(0.1,), (0.1, 0.5), (0.1, 0.9, 0.01, True)], ids=["plain", "momentum", "nesterov"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@np.errstate(under="ignore")  # a gradient that underflows to 0 is right
def test_three_steps_on_the_device_equal_numpy_bit_for_bit(dtype, rule):
    results = []
    for backend in (NUMPY, BACKEND):
        rng = np.random.default_rng(3)
        model, optimizer = SynaNN(dtype=dtype, backend=backend), SGD(*rule)
        for step in range(3):
            x = backend.asarray(rng.normal(size=(4, 1, 28, 28)), dtype)
            log_probs, caches = model.forward(x, train=True, step=step)
            loss, dlog_probs = nll_loss(log_probs, backend.asarray(rng.integers(0, 10, 4)))
            dx, grads = model.backward(dlog_probs, caches)
            optimizer.step(model.params, grads)
        final = {"loss": loss, "dx": dx, "evaluated": model.forward(x)[0]}
        results.append(model.state_dict() | {k: backend.to_host(a) for k, a in final.items()})
    assert {a.dtype for a in results[1].values()} == {np.dtype(dtype)}
    assert_same(results[1], results[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_training_loop_on_the_device_equals_numpy_bit_for_bit(dtype, rng):
    images, labels = rng.integers(0, 256, (25, 28, 28), dtype="uint8"), rng.integers(0, 10, 25, dtype="uint8")
    results = []
    for backend in (NUMPY, BACKEND):
        model = SynaNN(dtype=dtype, backend=backend)
        optimizer = SGD(0.012, momentum=0.5)
        run = fit(
            model, optimizer, (images, labels), (images, labels), 2, batch_size=10, test_batch_size=15, log_interval=2
        )
        results.append((list(run), model.state_dict()))
    (records, state), (device_records, device_state) = results
    assert len(records) == 6
    assert device_records == records
    assert_same(device_state, state)


def test_batches_and_class_counts_on_the_device_equal_numpy(rng):
    images, labels = rng.integers(0, 256, (7, 5, 4), dtype="uint8"), rng.integers(0, 10, 7)
    order = rng.permutation(7)
    pairs = zip(
        batches(images, labels, 3, order),
        batches(BACKEND.asarray(images), BACKEND.asarray(labels), 3, BACKEND.asarray(order)),
        strict=True,
    )
    for (x, y), (device_x, device_y) in pairs:
        assert array_module(device_x) is array_module(device_y) is strict_device
        assert device_x.strides == x.strides
        assert_same({"x": BACKEND.to_host(device_x), "y": BACKEND.to_host(device_y)}, {"x": x, "y": y})
    np.testing.assert_array_equal(BACKEND.to_host(class_counts(BACKEND.asarray(labels))), class_counts(labels))


def test_state_moves_between_host_and_device():
    on_device, on_host = SynaNN(seed=1, backend=BACKEND), SynaNN(seed=2)
    on_host.load_state_dict(on_device.state_dict())
    assert_same(on_host.state_dict(), on_device.state_dict())
    on_device.load_state_dict(SynaNN(seed=3).state_dict())
    assert_same(on_device.state_dict(), SynaNN(seed=3).state_dict())
