"""The loop around the kernels: what fit does with a CudaModel, on a device that is faked (see conftest.py).

The kernels are the plain layers here, so the numbers must be those of NumPy to the bit. That the real kernels compute
the same is tested elsewhere.
"""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from synann_np.fast.cuda import compile, training
from synann_np.fast.cuda.compile import compile_for_cuda
from synann_np.fast.cuda.model import CudaModel
from synann_np.fast.cuda.synapse import CudaSynapse
from synann_np.layers import LogSoftmax, Softmax, Synapse
from synann_np.models import SynaNN
from synann_np.optim import SGD, Adam
from synann_np.sequential import Sequential
from synann_np.storage.checkpoint import read_checkpoint, save
from synann_np.storage.optimizer_state import restore_optimizer
from synann_np.train import TrainRecord, fit
from synann_np.training.tools import TrainingTools
from synann_np.training.weight_average import WeightAverage

BATCH = 10
BATCHES = 5  # an epoch: four full ones and one of 4


@pytest.fixture(autouse=True)
def underflow_is_zero():
    with np.errstate(under="ignore"):
        yield


@pytest.fixture(autouse=True)
def short_graphs(monkeypatch):
    monkeypatch.setattr(training, "STEPS_PER_GRAPH", 2)


def images_and_labels(n=44, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 28, 28), dtype="uint8"), rng.integers(0, 10, n, dtype="uint8")


def run(model, optimizer, epochs=2, **options):
    sets = images_and_labels(), images_and_labels(40, 1)
    return fit(model, optimizer, *sets, epochs, **{"batch_size": BATCH, "log_interval": 3, **options})


def on_device(device, announce=None):
    """The model whose layers lie on the device, and the one that is trained in its place."""
    model = SynaNN(backend=device.backend)
    return model, compile_for_cuda(model, device.launcher, announce or pytest.fail, device.product)


def assert_same_state(model, expected, optimizer=None, expected_optimizer=None):
    state = model.state_dict()
    for name, a in expected.state_dict().items():
        np.testing.assert_array_equal(state[name], a, err_msg=name)
    if optimizer is not None:
        assert optimizer.velocity.keys() == expected_optimizer.velocity.keys()
        for name, v in expected_optimizer.velocity.items():
            np.testing.assert_array_equal(model.backend.to_host(optimizer.velocity[name]), v, err_msg=name)


def assert_same_records(records, expected):
    assert len(records) == len(expected)
    for record, e in zip(records, expected, strict=True):
        if isinstance(e, TrainRecord):
            assert record == e
        else:  # the mean is taken in another order
            assert (record.epoch, record.step, record.correct) == (e.epoch, e.step, e.correct)
            assert record.loss == pytest.approx(e.loss, rel=1e-6)


@pytest.mark.parametrize("rule", [(0.05,), (0.05, 0.5), (0.05, 0.9, 0.01, True)], ids=["plain", "momentum", "nesterov"])
@pytest.mark.parametrize("log_interval", [1, 3, 100])
def test_two_epochs_equal_those_of_numpy_to_the_bit(device, rule, log_interval):
    plain, expected_rule = SynaNN(), SGD(*rule)
    expected = list(run(plain, expected_rule, log_interval=log_interval))
    model, fast = on_device(device)
    optimizer = SGD(*rule)
    assert isinstance(fast, CudaModel)
    assert_same_records(list(run(fast, optimizer, log_interval=log_interval)), expected)
    assert_same_state(model, plain, optimizer, expected_rule)


@pytest.mark.parametrize("cut", range(1, 2 * BATCHES, 2))
def test_a_run_resumed_in_the_middle_of_an_epoch_ends_as_the_whole_one(device, cut, tmp_path):
    plain, expected_optimizer = SynaNN(), SGD(0.05, 0.5)
    expected = list(run(plain, expected_optimizer, log_interval=1))

    model, fast = on_device(device)
    optimizer, records = SGD(0.05, 0.5), []
    for record in run(fast, optimizer, log_interval=1):
        records.append(record)
        if record.step == cut:
            break
    save(tmp_path / "cut.safetensors", model, optimizer)

    checkpoint = read_checkpoint(tmp_path / "cut.safetensors")
    model = checkpoint.build(device.backend)
    optimizer = SGD(0.05, 0.5)
    restore_optimizer(checkpoint, optimizer, model)
    fast = compile_for_cuda(model, device.launcher, pytest.fail)
    finished = (cut - 1) // BATCHES  # cut before the evaluation, if at the end of an epoch
    records += run(fast, optimizer, log_interval=1, step=cut, finished=finished)
    assert_same_records(records, expected)
    assert_same_state(model, plain, optimizer, expected_optimizer)


def test_what_was_trained_on_the_device_trains_on_alike_on_the_host(device, tmp_path):
    plain, expected_optimizer = SynaNN(), SGD(0.05, 0.5)
    list(run(plain, expected_optimizer))
    model, fast = on_device(device)
    optimizer = SGD(0.05, 0.5)
    list(run(fast, optimizer, epochs=1))
    save(tmp_path / "m.safetensors", model, optimizer)
    checkpoint = read_checkpoint(tmp_path / "m.safetensors")
    host, optimizer = checkpoint.build("numpy"), SGD(0.05, 0.5)
    restore_optimizer(checkpoint, optimizer, host)
    list(run(host, optimizer, step=BATCHES))
    assert_same_state(host, plain, optimizer, expected_optimizer)


def test_between_two_records_nothing_is_copied_to_the_host_or_from_it(device):
    """Every implicit way to the host raises on the strict device; the explicit ones are counted here."""
    _, fast = on_device(device)
    counts = []
    for _ in run(fast, SGD(0.05, 0.5), epochs=3, log_interval=2):
        counts.append((device.transfers["to_host"], device.transfers["asarray"]))
    transfers = [tuple(np.subtract(after, before)) for before, after in itertools.pairwise(counts)]
    # Of epochs 2 and 3: the order goes there, three losses come, then the loss and accuracy of the evaluation.
    assert transfers[3:] == [(1, 1), (1, 0), (1, 0), (2, 0)] * 2
    assert device.cuda.syncs == 0


def test_in_the_long_run_a_step_is_a_part_of_one_launch(device):
    _, fast = on_device(device)
    counts, steps = [], run(fast, SGD(0.05, 0.5), epochs=3, log_interval=100)
    checks = device.cuda.launches  # of the data, by a batch
    for _ in steps:
        counts.append((device.cuda.launches - checks, device.cuda.replays, device.cuda.captures))
    epochs = counts[1::2]
    # One step up to the first record, two together, one by a graph captured for it, the ten rows, the evaluation.
    assert epochs[0] == (4 + 2 * 4 + 0 + 4 + 2, 1, 1)
    launches, replays, captures = np.subtract(epochs[2], epochs[1])
    assert (launches, captures) == (2, 0)  # the evaluation
    assert replays == 1 + 1 + 1 + 1  # one step, two, one, and the ten rows of the end


def test_a_device_that_refuses_graphs_computes_the_same_and_says_so_once(device, monkeypatch):
    monkeypatch.setattr(device.cuda, "Stream", lambda **_: (_ for _ in ()).throw(RuntimeError("no streams today")))
    plain = SynaNN()
    expected = list(run(plain, SGD(0.05, 0.5)))
    lines = []
    model, fast = on_device(device, lines.append)
    assert_same_records(list(run(fast, SGD(0.05, 0.5))), expected)
    assert_same_state(model, plain)
    assert device.cuda.replays == 0
    assert lines == ["No CUDA graph (RuntimeError: no streams today): the kernels are launched one by one"]


def test_rates_may_change_between_records(device):
    results = []
    for model, fast in ((SynaNN(),) * 2, on_device(device)):
        optimizer = SGD(0.05, 0.5)
        for record in run(fast, optimizer, log_interval=2):
            optimizer.lr, optimizer.weight_decay = 0.05 / (1 + record.step), 0.001 * record.step
        results.append(model)
    assert_same_state(results[1], results[0])


def test_a_schedule_gives_every_step_its_rate(device):
    results = []
    for model, fast in ((SynaNN(),) * 2, on_device(device)):
        optimizer = SGD(0.05, 0.5)
        tools = TrainingTools(schedule=lambda step: 0.05 / (1 + step))
        records = list(run(fast, optimizer, tools=tools))
        list(run(fast, optimizer, step=10, finished=2, epochs=3))  # at the last rate, without the schedule
        results.append((model, optimizer, records))
    assert_same_records(results[1][2], results[0][2])
    assert results[1][1].lr == results[0][1].lr == 0.05 / 10
    assert_same_state(results[1][0], results[0][0], results[1][1], results[0][1])
    assert device.cuda.replays > 0


@pytest.mark.parametrize("case", ["tools", "Adam", "decay_vectors", "without momentum"])
def test_what_the_four_kernels_do_not_know_is_captured_and_said_once(device, case):
    results, lines = [], []
    for model, fast in ((SynaNN(),) * 2, on_device(device, lines.append)):
        average = WeightAverage(model, 0.9)
        tools = TrainingTools(average=average, label_smoothing=0.1) if case == "tools" else TrainingTools()
        optimizer = {
            "Adam": lambda: Adam(0.001),
            "decay_vectors": lambda: SGD(0.05, 0.5, 0.01, decay_vectors=False),
        }.get(case, lambda: SGD(0.05, 0.5))()
        if case == "without momentum":
            optimizer.momentum = 0
            optimizer.velocity["fc2.bias"] = model.backend.xp.ones(10, "float32")
        list(run(fast, optimizer, tools=tools))
        results.append((model, average.state_dict()))
    assert_same_state(results[1][0], results[0][0])
    for name, a in results[0][1].items():
        np.testing.assert_array_equal(results[1][1][name], a, err_msg=name)
    assert device.cuda.replays == 2 * BATCHES - 2
    assert len(lines) == 1
    assert lines[0].startswith("Captured layers train, not the four kernels: the CUDA kernels ")


def test_an_optimiser_that_goes_from_the_kernels_to_captured_steps_and_back(device):
    results = []
    for model, fast in ((SynaNN(),) * 2, on_device(device, print)):
        optimizer, average = SGD(0.05, 0.5), WeightAverage(model, 0.9)
        for tools in (TrainingTools(), TrainingTools(average=average), TrainingTools()):
            list(run(fast, optimizer, epochs=1, tools=tools))
        results.append((model, optimizer))
    assert_same_state(results[1][0], results[0][0], results[1][1], results[0][1])


def test_two_optimisers_of_one_model_keep_their_own_velocity(device):
    results = []
    for model, fast in ((SynaNN(),) * 2, on_device(device)):
        first, second = SGD(0.05, 0.5), SGD(0.01, 0.9)
        for optimizer in (first, second, first):
            list(run(fast, optimizer, epochs=1))
        results.append((model, first, second))
    (plain, *expected), (model, *optimizers) = results
    for optimizer, e in zip(optimizers, expected, strict=True):
        assert_same_state(model, plain, optimizer, e)


def test_weights_loaded_or_replaced_between_runs_are_seen(device):
    other = SynaNN(seed=8)
    results = []
    for model, fast in ((SynaNN(),) * 2, on_device(device)):
        list(run(fast, SGD(0.05, 0.5), epochs=1))
        model.load_state_dict(other.state_dict())
        model.layers["fc2"].params["bias"] = model.backend.asarray(np.arange(10), "float32")
        model.layers["fcb"].buffers["running_mean"] = model.backend.asarray(np.ones(64), "float32")
        list(run(fast, SGD(0.05, 0.5), epochs=1))
        results.append(model)
    assert_same_state(results[1], results[0])


def test_other_images_are_not_taken_for_the_first(device):
    results = []
    for model, fast in ((SynaNN(),) * 2, on_device(device)):
        optimizer = SGD(0.05, 0.5)
        for seed in (0, 5):
            sets = images_and_labels(60, seed), images_and_labels(20, seed + 1)
            records = list(fit(fast, optimizer, *sets, 1, batch_size=20))
        results.append((model, records[-1].correct))
    assert_same_state(results[1][0], results[0][0])
    assert results[1][1] == results[0][1]


def test_more_steps_than_losses_are_kept(device, monkeypatch):
    monkeypatch.setattr(training, "LOSSES", 3)
    expected = list(run(SynaNN(), SGD(0.05, 0.5)))
    assert_same_records(list(run(on_device(device)[1], SGD(0.05, 0.5))), expected)


@pytest.mark.parametrize(
    ("images", "labels", "batch_size", "message", "by_fit"),
    [
        (images_and_labels()[0], np.full(44, 10), BATCH, "labels in 0..9, got 10..10", "label 10 found"),
        (images_and_labels()[0], np.full(44, -1), BATCH, "labels in 0..9, got -1..-1", "label -1 found"),
        (images_and_labels()[0][:, :20], np.zeros(44, "int64"), BATCH, "expected input", "does not take x"),
        (images_and_labels()[0], np.zeros(44, "int64"), 43, "more than one image", "a batch of one row"),
        (images_and_labels()[0], np.zeros(44, "int64"), 1, "more than one image", "a batch of one row"),
    ],
    ids=["label 10", "label -1", "small images", "last batch of one", "batches of one"],
)
def test_what_a_device_would_misread_silently_is_refused(device, images, labels, batch_size, message, by_fit):
    _, fast = on_device(device)
    fast.announce = print  # that the plain layers train: they are the ones to refuse small images
    with pytest.raises(ValueError, match=by_fit):
        fit(fast, SGD(0.05), (images, labels), images_and_labels(20), 1, batch_size=batch_size)
    arrays = map(device.backend.asarray, (images, labels, np.arange(44)))
    with pytest.raises(ValueError, match=message):
        fast.train_steps(SGD(0.05), *arrays, batch_size, 0)


@pytest.mark.parametrize("change", ["logistic", "sigmoid", "none", "p", "eps", "alpha", "float64"])
def test_other_networks_are_not_taken_for_synann(device, change):
    options = {"logistic": {"synapse": "logistic"}, "sigmoid": {"squash": "sigmoid"}, "none": {"synapse": "none"},
               "float64": {"dtype": "float64"}}.get(change, {})  # fmt: skip
    model = SynaNN(backend=device.backend, **options)
    if change == "p":
        model.layers["fc1_drop"].p = 0.25
    if change == "eps":
        model.layers["fcb"].eps = 1e-3
    if change == "alpha":
        model.layers["fcn"] = Synapse(64, train_alpha=False, backend=device.backend)
    assert not isinstance(compile_for_cuda(model, device.launcher), CudaModel)


@pytest.mark.parametrize("compiles", [True, False])
def test_kernels_that_do_not_compile_leave_the_plain_layers_and_say_so(device, monkeypatch, compiles):
    def fail():
        raise RuntimeError("nvrtc: error\n  invalid value for --gpu-architecture")

    made = device.launcher
    made.module = SimpleNamespace(compile=(lambda: None) if compiles else fail)
    monkeypatch.setattr(compile, "CupyLauncher", lambda: made)
    monkeypatch.setattr(compile, "Cublas", SimpleNamespace(of_cupy=lambda xp: device.product))
    device.backend.name = "cupy"
    model, lines = SynaNN(backend=device.backend), []
    fast = compile_for_cuda(model, announce=lines.append)
    assert isinstance(fast, CudaModel) if compiles else fast is model
    reason = "RuntimeError: nvrtc: error invalid value for --gpu-architecture"
    assert lines == ([] if compiles else [f"The plain layers compute: no CUDA kernels ({reason})"])


@pytest.mark.parametrize("parametrisation", ["free", "logistic", "surprisal"])
def test_synapse_layers_of_other_networks_are_replaced_and_equal_the_plain_ones(device, parametrisation, rng):
    results = []
    for backend in ("numpy", device.backend):
        layer = Synapse(70, parametrisation, rng=np.random.default_rng(1), backend=backend)
        layers = [("softmax", Softmax()), ("fcn", layer), ("log_softmax", LogSoftmax())]
        model = Sequential(layers, "float32", backend)
        if backend != "numpy":
            model = compile_for_cuda(model, device.launcher)
            assert isinstance(model.layers["fcn"], CudaSynapse)
        x, dy = (np.random.default_rng(seed).standard_normal((40, 70)).astype("float32") for seed in (2, 3))
        y, caches = model.forward(model.backend.asarray(x.T).T, True)  # not contiguous
        first, _ = model.backward(model.backend.asarray(dy), caches)
        dx, grads = model.backward(model.backend.asarray(dy), caches)
        np.testing.assert_array_equal(model.backend.to_host(first), model.backend.to_host(dx))
        results.append({k: model.backend.to_host(a) for k, a in {"y": y, "dx": dx, **grads}.items()})
    for name, a in results[0].items():
        np.testing.assert_array_equal(results[1][name], a, err_msg=name)


def test_a_synapse_layer_takes_any_memory_order_and_keeps_what_it_returned(device, rng):
    layer = Synapse(6, rng=rng, backend=device.backend)
    fast, asarray = CudaSynapse(layer, device.launcher), device.backend.asarray
    x, dy = (asarray(rng.random((6, 9)), "float32").T for _ in range(2))
    results = []
    for each in (layer, fast):
        _, cache = each.forward(x)
        first, _ = each.backward(dy, cache)
        second, _ = each.backward(2 * dy, cache)
        results.append([device.backend.to_host(a) for a in (first, second)])
    np.testing.assert_array_equal(results[0], results[1])


def test_an_empty_batch_goes_through_a_synapse_layer(device):
    layer = CudaSynapse(Synapse(5, backend=device.backend), device.launcher)
    x = device.backend.asarray(np.zeros((0, 5), "float32"))
    y, cache = layer.forward(x)
    dx, grads = layer.backward(y, cache)
    assert dx.shape == (0, 5)
    assert not device.backend.to_host(grads["beta"]).any()
