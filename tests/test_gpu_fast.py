"""The fast path on a GPU against the plain model on the CPU.

Every test runs twice: marked `gpu` on CuPy, and on strict arrays with kernels that are the plain layers, so that the
test itself is executed everywhere.
"""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

import strict_device
from fake_cuda import FakeCuda
from fast.cuda.plain_launcher import PlainLauncher
from stripes import stripes
from synann_np import load
from synann_np.backend import BackendError, get_backend
from synann_np.counter_random import key_halves
from synann_np.fast.cuda import EVALUATE, TRAIN, CupyLauncher, parameter_views, shape_of, step_sizes
from synann_np.fast.cuda.captured.loss import CudaCrossEntropy
from synann_np.fast.cuda.compile import compile_for_cuda
from synann_np.fast.cuda.layers.dropout import CudaDropout
from synann_np.fast.cuda.layers.softmax import CudaSoftmax
from synann_np.fast.cuda.layers.synapse_rnn import CudaSynapseRNN
from synann_np.fast.cuda.layers.tanh_rnn import CudaRNN
from synann_np.fast.cuda.model import CudaModel
from synann_np.fast.cuda.synapse import CudaSynapse
from synann_np.layers import RNN, Dropout, Dropout2d, LogSoftmax, Softmax, Synapse, SynapseRNN
from synann_np.losses import cross_entropy, nll_loss
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.storage.checkpoint import read_checkpoint, save
from synann_np.storage.optimizer_state import restore_optimizer
from synann_np.train import EvalRecord, fit

# The kernels of a GPU are float32 (in float64 a row would not fit its shared memory; the emulator runs that: see
# fast/cuda/test_whole_loop.py). Rounding alone makes 3e-6 of the largest element in a hundred steps. But now and then
# it lets another pixel of a window be the largest, which moves a gradient at once. Of 16 such runs by the plain layers,
# in float32 against float64, 5 had moments like that, and ended up to 0.75 apart in the weights, while the mean of the
# last ten losses differed by 0.8 % at most. They are in one run or another; a wrong formula is in all.
# On the faked device, which rounds as NumPy does, the one run is without such a moment and every bound holds.
A_RUN_WITHOUT_SUCH_A_MOMENT, EVERY_RUN_OF_THE_FAKED_DEVICE, LAST_LOSSES = 1e-4, 1e-1, 0.05
ONE_STEP = 1e-4


@pytest.fixture(params=["strict_device", pytest.param("cupy", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """backend, launcher(), and the most runs to compare."""
    if request.param == "strict_device":
        cuda = FakeCuda()
        monkeypatch.setattr(strict_device, "cuda", cuda)

        def launcher():
            return PlainLauncher(cuda, strict_device.ndarray, lambda a: a._device)

        return SimpleNamespace(backend=strict_device.backend(), launcher=launcher, runs=1)
    try:
        return SimpleNamespace(backend=get_backend("cupy"), launcher=CupyLauncher, runs=8)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def underflow_is_zero():
    with np.errstate(under="ignore"):
        yield


def assert_close(results, expected, bound):
    assert results.keys() == expected.keys()
    for name, e in expected.items():
        assert results[name].dtype == e.dtype, name
        error = np.abs(results[name] - e).max()
        assert error <= bound * np.abs(e).max(), f"{name}: {error:.2g}, largest element {np.abs(e).max():.2g}"


def trained(backend, launcher=None, steps=104, seed=5):
    """Records of each of so many steps, and the final state. With a launcher: by the kernels, captured as graphs."""
    model, optimizer = SynaNN(seed, backend=backend), SGD(0.012, momentum=0.5)
    fast = (
        model if launcher is None else CudaModel(list(model.layers.items()), model, launcher, pytest.fail)
    )  # it announces what is not fast
    options = {"batch_size": 16, "test_batch_size": 50, "log_interval": 1, "seed": seed}
    run = fit(fast, optimizer, stripes(200, 0), stripes(50, 1), 99, **options)
    records = list(itertools.takewhile(lambda record: record.step < steps, run))
    if launcher is not None:
        assert any(replay.graph is not None for pair in fast.training[2].programs.values() for replay in pair)
    velocity = {f"velocity.{name}": backend.to_host(v) for name, v in optimizer.velocity.items()}
    return records, model.state_dict() | velocity


def test_hundred_steps_by_the_kernels_agree_with_the_plain_model_on_the_host(device):
    errors = []
    for seed in range(device.runs):
        records, state = trained(device.backend, device.launcher(), seed=seed)
        host_records, host_state = trained(get_backend("numpy"), seed=seed)
        assert [(type(r), r.step) for r in records] == [(type(r), r.step) for r in host_records]
        state["losses"], host_state["losses"] = (np.array([r.loss for r in rs]) for rs in (records, host_records))
        assert {name: a.dtype for name, a in state.items()} == {name: a.dtype for name, a in host_state.items()}
        last, host_last = state["losses"][-10:].mean(), host_state["losses"][-10:].mean()
        assert last == pytest.approx(host_last, rel=LAST_LOSSES)
        if device.backend.xp is strict_device:
            assert_close(state, host_state, EVERY_RUN_OF_THE_FAKED_DEVICE)
        evaluations = [r.loss for r in host_records if isinstance(r, EvalRecord)]
        assert evaluations[-1] < evaluations[0]
        errors.append(max(np.abs(state[name] - a).max() / np.abs(a).max() for name, a in host_state.items()))
        if errors[-1] <= A_RUN_WITHOUT_SUCH_A_MOMENT:
            return
    pytest.fail(f"no run agrees to {A_RUN_WITHOUT_SUCH_A_MOMENT}: {errors}")


def test_one_step_by_the_kernels_agrees_with_the_plain_layers_on_the_same_device(device):
    launcher, xp = device.launcher(), device.backend.xp
    images, labels = stripes(120, 2)
    sizes = step_sizes(100, M=120, T=120, L=4) | {"offset": 0}
    arrays = {n: xp.zeros(shape_of(n, sizes), launcher.numpy_dtype(n)) for n in launcher.array_names(TRAIN + EVALUATE)}
    model = SynaNN(backend=device.backend)
    order = np.random.default_rng(3).permutation(120)
    given = {
        "images": images.reshape(120, 784),
        "labels": labels,
        "order": order,
        "counter": (7, 10),
        "seeds": [model.layers[name].seed for name in ("conv2_drop", "fc1_drop")],
        "hyper": (0.1, 0.5, 0.01, 0),
        "running": np.stack([np.zeros(64), np.ones(64)]),
    }
    for name, a in given.items():
        arrays[name][...] = device.backend.asarray(np.array(a), launcher.numpy_dtype(name))
    for name, view in parameter_views(arrays["params"]).items():
        view[...] = model.params[name]
    for kernel in TRAIN:
        launcher.launch(kernel, sizes, arrays)

    rows = order[10:110]
    x = ((images[rows] / 255 - 0.1307) / 0.3081)[:, None]
    log_probs, caches = model.forward(device.backend.asarray(x, "float32"), train=True, step=7)
    loss, dlog_probs = nll_loss(log_probs, device.backend.asarray(labels[rows], dtype="int64"))
    _, grads = model.backward(dlog_probs, caches)
    SGD(0.1, 0.5, 0.01).step(model.params, grads)
    expected = model.params | {"loss": loss.reshape(1), "running_var": model.buffers["fcb.running_var"]}
    results = parameter_views(arrays["params"]) | {"loss": arrays["losses"][3:4], "running_var": arrays["running"][1]}
    to_host = device.backend.to_host
    assert_close({k: to_host(a) for k, a in results.items()}, {k: to_host(a) for k, a in expected.items()}, ONE_STEP)
    assert to_host(arrays["counter"]).tolist() == [8, 110]


def test_equal_runs_give_equal_bits(device):
    """No atomics: sums are taken in an order that does not depend on which block was first."""
    states = [trained(device.backend, device.launcher(), steps=40)[1] for _ in range(2)]
    for name, a in states[0].items():
        np.testing.assert_array_equal(states[1][name], a, err_msg=name)


def test_a_model_saved_on_either_side_loads_and_trains_on_the_other(device, tmp_path):
    train_set, test_set = stripes(64, 0), stripes(20, 1)
    path = tmp_path / "model.safetensors"
    ends = {}
    for first, second in itertools.product(("host", "device"), repeat=2):
        for place, epochs, step in ((first, 1, 0), (second, 2, 4)):
            backend = get_backend("numpy") if place == "host" else device.backend
            optimizer = SGD(0.012, 0.5)
            if step == 0:
                model = SynaNN(backend=backend)
            else:
                checkpoint = read_checkpoint(path)
                model = checkpoint.build(backend)
                restore_optimizer(checkpoint, optimizer, model)
            fast = model
            if place == "device":
                fast = compile_for_cuda(model, device.launcher(), pytest.fail)
                assert isinstance(fast, CudaModel)
            list(fit(fast, optimizer, train_set, test_set, epochs, batch_size=16, step=step))
            save(path, model, optimizer)
        ends[first, second] = load(path).state_dict()
    for name, expected in ends["host", "host"].items():
        for way, state in ends.items():
            assert np.abs(state[name] - expected).max() <= 1e-3 * np.abs(expected).max(), (name, way)


def test_evaluation_by_the_kernels_agrees_with_the_plain_model(device):
    model = SynaNN(backend=device.backend)
    images, labels = stripes(333, 4)
    test_set = device.backend.asarray(images), device.backend.asarray(labels, dtype="int64")
    loss, correct = CudaModel(list(model.layers.items()), model, device.launcher()).evaluate(*test_set)
    log_probs, _ = SynaNN().forward(((images / 255 - 0.1307) / 0.3081)[:, None].astype("float32"))
    assert loss == pytest.approx(-log_probs[np.arange(333), labels].mean(), rel=1e-5)
    assert correct == (log_probs.argmax(axis=1) == labels).sum()


@pytest.mark.parametrize("case", ["uniform", "softmax", "beta of both signs", "factors of zero"])
@pytest.mark.parametrize("n", [1, 64, 300])
def test_the_synapse_kernels_agree_with_the_plain_layer(device, n, case):
    results = []
    for backend in (get_backend("numpy"), device.backend):
        rng = np.random.default_rng(5)
        layer = Synapse(n, rng=rng, backend=backend)
        x, dy = rng.uniform(0, 1, (33, n)), rng.normal(size=(33, n))
        if case == "softmax":
            x = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        if case != "uniform":
            layer.params["beta"][...] = backend.asarray(rng.uniform(-1, 1, (n, n)) / n**0.5, "float32")
        if case == "factors of zero":
            x[3, 0], x[4] = 0.5, 0.5
            layer.params["beta"][:, 0] = 2
        if backend.name != "numpy":
            layer = CudaSynapse(layer, device.launcher())
        y, cache = layer.forward(backend.asarray(x, "float32"))
        dx, grads = layer.backward(backend.asarray(dy, "float32"), cache)
        results.append({k: backend.to_host(a) for k, a in {"y": y, "dx": dx, **grads}.items()})
    assert_close(results[1], results[0], 2e-5 * max(1, n / 64))


@pytest.mark.parametrize("K", [1, 10, 33, 1000])
def test_the_kernels_of_the_loss_agree_with_the_plain_loss(device, K):
    rng = np.random.default_rng(K)
    logits, labels = (3 * rng.normal(size=(33, K))).astype("float32"), rng.integers(0, K, 33)
    class_weights, sample_weights = (rng.uniform(0.1, 2, size).astype("float32") for size in (K, 33))
    options = {"class_weights": class_weights, "label_smoothing": 0.1, "ignore_index": labels[0]}
    expected = cross_entropy(logits, labels, sample_weights=sample_weights, **options)
    to_host, asarray = device.backend.to_host, device.backend.asarray
    kernels = CudaCrossEntropy(device.launcher(), device.backend, **options)
    found = kernels(asarray(logits), asarray(labels), sample_weights=asarray(sample_weights))
    names = ("loss", "dlogits")
    assert_close(*({name: to_host(a) for name, a in zip(names, pair, strict=True)} for pair in (found, expected)), 1e-5)


@pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
def test_the_softmax_kernels_agree_with_the_plain_layer(device, kind):
    rng, results = np.random.default_rng(3), []
    x, dy = (rng.normal(size=(33, 70)).astype("float32") for _ in range(2))
    for backend in (get_backend("numpy"), device.backend):
        layer = kind() if backend.name == "numpy" else CudaSoftmax(kind(), device.launcher(), backend)
        y, cache = layer.forward(backend.asarray(x))
        results.append({"y": backend.to_host(y), "dx": backend.to_host(layer.backward(backend.asarray(dy), cache)[0])})
    assert_close(results[1], results[0], 1e-5)


@pytest.mark.parametrize("options", [{"return_sequences": True}, {"truncate": 3}])
@pytest.mark.parametrize(("kind", "twin"), [(RNN, CudaRNN), (SynapseRNN, CudaSynapseRNN)])
def test_the_kernels_of_recurrent_layers_agree_with_the_plain_layer(device, kind, twin, options):
    results = []
    for backend in (get_backend("numpy"), device.backend):
        rng = np.random.default_rng(3)
        layer = kind(28, 64, rng=rng, backend=backend, **options)
        x, dy = rng.normal(size=(9, 7, 28)), rng.normal(size=(9, 7, 64))
        layer = layer if backend.name == "numpy" else twin(layer, device.launcher())
        y, cache = layer.forward(backend.asarray(x, "float32"))
        dy = dy if layer.return_sequences else dy[:, -1]
        dx, grads = layer.backward(backend.asarray(dy, "float32"), cache)
        results.append({name: backend.to_host(a) for name, a in {"y": y, "dx": dx, **grads}.items()})
    assert_close(results[1], results[0], 1e-4)


@pytest.mark.parametrize("kind", [Dropout, Dropout2d])
def test_the_kernel_of_dropout_draws_the_masks_of_the_host(device, kind):
    layer, x, asarray = kind(0.3, seed=2**40), np.ones((50, 20, 2, 2), "float32"), device.backend.asarray
    step = SimpleNamespace(key=lambda seed: [asarray(np.array(half, "uint32")) for half in key_halves(seed, 7)])
    y, _ = CudaDropout(layer, device.launcher(), device.backend).forward(asarray(x), True, step)
    np.testing.assert_array_equal(device.backend.to_host(y), layer.forward(x, True, 7)[0])
