"""Captured steps of every recipe and tool equal plain steps, and a graph copies nothing and allocates nothing.

The kernels are NumPy's (plain_launcher.py) or, where it is said, the real ones on a CPU; arrays, graphs and memory are
those of a faked device. What a graph frees may be overwritten by whoever is next, as on a real one.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

import strict_device
from cuda_emulator import require
from fast.cuda.captured_device import captured_device
from fast.cuda.launches import launches
from synann_np.backend import array_module, get_backend
from synann_np.data.augment import Augment
from synann_np.fast.cuda.captured.model import CapturedModel
from synann_np.fast.cuda.compile import compile_for_cuda
from synann_np.layers import BatchNorm1d, Dropout, Flatten, Linear, LogSoftmax, ReLU, Residual
from synann_np.losses import cross_entropy, mse_loss, nll_loss
from synann_np.optim import SGD, Adam, AdamW
from synann_np.programs.runs.arguments import parse_arguments
from synann_np.programs.runs.parts import make_model, make_optimizer, make_tools
from synann_np.programs.runs.recipes import recipe_names
from synann_np.sequential import Sequential
from synann_np.train import fit
from synann_np.training.tools import TrainingTools
from synann_np.training.weight_average import WeightAverage

NUMPY = get_backend("numpy")


@pytest.fixture(autouse=True)
def underflow_is_zero():
    with np.errstate(under="ignore"):
        yield


def images_and_labels(count, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 28, 28), dtype="uint8"), rng.integers(0, 10, count)


def table(count=26, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)), rng.integers(0, 3, count)


def small(backend, layers=()):
    """A network of a table, with dropout and batch-norm."""
    o = {"rng": np.random.default_rng(5), "dtype": "float64", "backend": backend}
    ends = Linear(7, 3, **o), LogSoftmax()
    return Sequential(
        [Linear(6, 7, **o), ReLU(), BatchNorm1d(7, **o), Dropout(seed=3), *layers, *ends], "float64", backend
    )


def state_of(model, optimizer, tools):
    """dict name -> host array of everything that training moves."""
    state = dict(model.state_dict())
    for key in ("velocity", "mean", "mean_square"):
        state |= {f"{key} {n}": model.backend.to_host(a) for n, a in getattr(optimizer, key, {}).items()}
    state |= {f"average {n}": a for n, a in (tools.average.state_dict() if tools.average else {}).items()}
    counters = [getattr(optimizer, "steps", 0), tools.average.updates if tools.average else 0, optimizer.lr]
    return state | {"counters": np.array(counters)}


def assert_same(found, expected, tolerance=0.0):
    assert found.keys() == expected.keys()
    for name, a in expected.items():
        assert found[name].dtype == a.dtype, name
        assert np.abs(found[name] - a).max(initial=0) <= tolerance * np.abs(a).max(initial=0), name


def both_ways(device, make, train, announce=pytest.fail):
    """make(backend) -> model, optimizer, tools. The compiled model; state and records of a captured and a plain run."""
    results = []
    for backend in (device.backend, NUMPY):
        model, optimizer, tools = make(backend)
        trained = model
        if backend is not NUMPY:
            fast = trained = compile_for_cuda(model, device.launcher, announce, device.product)
        results += [list(train(trained, optimizer, tools)), state_of(model, optimizer, tools)]
    return fast, *results


@pytest.mark.parametrize("recipe", [*recipe_names(), "tanh_rnn", "seed with an average"])
def test_a_run_of_every_recipe_by_captured_steps_equals_the_plain_run(monkeypatch, recipe):
    device = captured_device(monkeypatch)
    words = {
        "tanh_rnn": ["--recipe", "rnn", "--model", "tanh_rnn"],
        "seed with an average": ["--recipe", "seed", "--ema", "0.9"],
    }
    words = words.get(recipe, ["--recipe", recipe])
    args = parse_arguments([*words, "--dtype", "float64", "--batch-size", "8", "--epochs", "2"], "", "test")
    args.plain_epochs = min(args.plain_epochs, 1)
    train_set, test_set = images_and_labels(20, 0), images_and_labels(10, 1)  # three batches an epoch, the last of 4

    def make(backend):
        model, _ = make_model(args, backend, (*train_set, *test_set), train_set[0])
        return model, make_optimizer(args), make_tools(args, model, 3)

    def train(model, optimizer, tools):
        return fit(model, optimizer, train_set, test_set, 2, batch_size=8, log_interval=2, tools=tools)

    lines = []
    fast, records, state, plain_records, plain_state = both_ways(device, make, train, lines.append)
    # Sums in another order, and Adam divides by small numbers. With batch-norm after
    # convolutions, 1e-9 was measured, and 4e-12 with the two of `augmented`.
    tolerance = {"rnn": 1e-9, "best": 1e-8, "quick": 1e-8, "augmented": 1e-11}.get(recipe, 0)
    if recipe in ("best", "quick"):
        # norm2 takes norm1's bias away again: its gradient is rounding, 1e-17, and stays far below Adam's eps.
        for name in [name for name in state if "norm1.bias" in name]:
            assert np.abs(state.pop(name)).max() < 1e-6 > np.abs(plain_state.pop(name)).max()
    assert_same(state, plain_state, tolerance)
    if recipe == "seed":  # has kernels of its own
        return
    assert [line.partition(":")[0] for line in lines] == ["Captured layers train, not the four kernels"] * (
        "average" in recipe
    )
    assert [r.step for r in records] == [r.step for r in plain_records]
    np.testing.assert_allclose([r.loss for r in records], [r.loss for r in plain_records], tolerance)
    steps, programs = 6, len(fast.capturing.training.programs)
    assert programs == (4 if args.augment != "none" else 2)
    assert device.cuda.replays == steps - programs
    assert device.cuda.allocations_in_captures == 0


@pytest.mark.parametrize("recipe", ["seed, average of the weights", "mlp", "tanh_rnn"])
def test_launches_a_step_are_those_of_the_page(monkeypatch, recipe):
    page = (Path(__file__).parents[3] / "docs" / "gpu.md").read_text(encoding="utf-8")
    plain, captured = launches(recipe, monkeypatch.setattr)
    assert f"| {recipe} | {plain} | {captured} |" in page


TOOLS = {
    "none": {},
    "all": {"schedule": lambda step: 0.05 / (1 + step), "label_smoothing": 0.1, "max_norm": 0.3, "decay": 0.9},
    "clipping that never cuts": {"max_norm": 1e9},
}
OPTIMIZERS = {
    "SGD": lambda: SGD(0.05),
    "momentum": lambda: SGD(0.05, 0.5, 0.01),
    "Nesterov": lambda: SGD(0.05, 0.9, 0.01, True, decay_vectors=False),
    "Adam": lambda: Adam(0.01, weight_decay=0.1),
    "AdamW": lambda: AdamW(0.01, (0.8, 0.9), 1e-6, weight_decay=0.1, decay_vectors=False),
}


def make_with(make_optimizer, tools, layers=None):
    def make(backend):
        model, options = small(backend, () if layers is None else layers(backend)), dict(tools)
        if "decay" in options:
            options["average"] = WeightAverage(model, options.pop("decay"))
        return model, make_optimizer(), TrainingTools(**options)

    return make


def train_table(model, optimizer, tools, **options):
    return fit(
        model,
        optimizer,
        table(),
        table(9, 1),
        **{"epochs": 3, "batch_size": 8, "log_interval": 2, "tools": tools} | options,
    )


@pytest.mark.parametrize("tools", TOOLS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_real_kernel_updates_as_the_plain_optimisers_do(monkeypatch, optimizer, tools):
    require()
    device = captured_device(monkeypatch, emulated=True)
    make = make_with(OPTIMIZERS[optimizer], TOOLS[tools])
    _, records, state, plain_records, plain_state = both_ways(device, make, train_table)
    assert_same(state, plain_state, 1e-11)
    assert [r.step for r in records] == [r.step for r in plain_records]
    np.testing.assert_allclose([r.loss for r in records], [r.loss for r in plain_records], 1e-12)
    assert device.cuda.replays == 12 - 2


@pytest.mark.parametrize(("batch_size", "programs"), [(4, 2), (13, 1), (26, 1), (40, 1)])
def test_batches_of_any_size(monkeypatch, batch_size, programs):
    device = captured_device(monkeypatch)
    make = make_with(OPTIMIZERS["Adam"], {})
    train = partial(train_table, batch_size=batch_size)
    fast, records, state, plain_records, plain_state = both_ways(device, make, train)
    assert records == plain_records
    assert_same(state, plain_state)
    assert len(fast.capturing.training.programs) == programs


def test_what_a_layer_keeps_for_one_size_of_batch_is_safe_from_the_graphs_of_others(monkeypatch):
    """The last batch of an epoch is smaller: its first step comes after the capture of the others."""
    device = captured_device(monkeypatch)

    class Scaled(ReLU):
        def __init__(self):
            super().__init__()
            self.kept = {}

        def forward(self, x, train=False):
            if len(x) not in self.kept:
                self.kept[len(x)] = array_module(x).full((len(x), 1), 1.5)
            return super().forward(x * self.kept[len(x)])

    make = make_with(OPTIMIZERS["Adam"], {}, lambda backend: [Scaled()])
    _, records, state, plain_records, plain_state = both_ways(device, make, train_table)
    assert records == plain_records
    assert_same(state, plain_state)


def test_weights_of_samples_and_classes_and_another_loss(monkeypatch):
    weights = np.random.default_rng(4).random(26)
    for loss, targets, given in (
        (partial(nll_loss, class_weights=[1.0, 2.0, 0.5], ignore_index=1), table()[1], None),
        (nll_loss, table()[1], weights),
        (partial(cross_entropy, label_smoothing=0.1, ignore_index=2), table()[1], weights),
        (mse_loss, np.random.default_rng(2).normal(size=(26, 3)), weights),
    ):
        device = captured_device(monkeypatch)
        train_set = (table()[0], targets, given)
        train = lambda model, optimizer, tools: fit(model, optimizer, train_set, None, 3, batch_size=8, loss=loss)  # noqa: B023, E731
        _, records, state, plain_records, plain_state = both_ways(device, make_with(OPTIMIZERS["SGD"], {}), train)
        assert records == plain_records
        assert_same(state, plain_state)


def test_a_run_resumed_in_the_middle_of_an_epoch_by_another_optimizer_object(monkeypatch):
    device = captured_device(monkeypatch)
    make = make_with(OPTIMIZERS["AdamW"], {"schedule": lambda step: 0.01 + step / 1000})

    def train(model, optimizer, tools):
        for record in train_table(model, optimizer, tools, log_interval=1):
            yield record
            if record.step == 6:
                break
        again = OPTIMIZERS["AdamW"]()
        again.steps = optimizer.steps
        again.mean, again.mean_square = (
            {n: a.copy() for n, a in d.items()} for d in (optimizer.mean, optimizer.mean_square)
        )
        yield from train_table(model, again, tools, log_interval=1, step=6, finished=1)
        optimizer.steps, optimizer.mean, optimizer.mean_square, optimizer.lr = (
            again.steps,
            again.mean,
            again.mean_square,
            again.lr,
        )

    _, records, state, plain_records, plain_state = both_ways(device, make, train)
    assert records == plain_records
    assert_same(state, plain_state)


def test_weights_rates_and_arrays_that_the_caller_changes_between_records(monkeypatch):
    device = captured_device(monkeypatch)

    def train(model, optimizer, tools):
        for record in train_table(model, optimizer, tools):
            optimizer.lr, optimizer.weight_decay = 0.1 / (1 + record.step), 0.01 * record.step
            model.layers["4"].params["bias"] = model.backend.asarray(np.arange(3) / 10)
            model.load_state_dict({n: a * 0.9 for n, a in model.state_dict().items()})
            yield record

    _, records, state, plain_records, plain_state = both_ways(device, make_with(OPTIMIZERS["momentum"], {}), train)
    assert records == plain_records
    assert_same(state, plain_state)


def test_one_copy_from_the_host_a_record_and_no_wait(monkeypatch):
    device = captured_device(monkeypatch)
    model, optimizer, tools = make_with(OPTIMIZERS["Adam"], TOOLS["all"])(device.backend)
    fast = compile_for_cuda(model, device.launcher, pytest.fail, device.product)
    counts = []
    for _ in train_table(fast, optimizer, tools, log_interval=2):
        counts.append((device.cuda.copies, device.cuda.replays))
    copies, replays = np.diff(counts[5:], axis=0).T  # of the third epoch: every program is captured
    assert copies.tolist() == [2, 1, 1]  # the order; the numbers of one step, of two, of one
    assert replays.tolist() == [1, 2, 1]
    assert device.cuda.syncs == device.cuda.allocations_in_captures == 0


def on_pictures(backend, augment):
    o = {"rng": np.random.default_rng(1), "dtype": "float64", "backend": backend}
    model = Sequential([Flatten(), Linear(64, 3, **o), LogSoftmax()], "float64", backend)
    return model, SGD(0.05), TrainingTools(augment=augment)


def train_pictures(model, optimizer, tools):
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype="uint8")
    return fit(model, optimizer, (images, np.arange(24) % 3), None, 3, batch_size=8, tools=tools)


def test_the_graph_depends_on_what_a_tool_asks_of_the_step(monkeypatch):
    device, bend = captured_device(monkeypatch), Augment(3, shift=2, elastic=1)

    def augment(images, step):
        return bend(images, step) if step < 4 or step == 7 else images

    make = partial(on_pictures, augment=augment)
    fast, records, state, plain_records, plain_state = both_ways(device, make, train_pictures)
    assert records == plain_records
    assert_same(state, plain_state)
    assert len(fast.capturing.training.programs) == 3
    assert device.cuda.replays == 9 - 3


def test_a_tool_that_computes_with_the_step_is_not_captured(monkeypatch):
    device, bend, lines = captured_device(monkeypatch), Augment(3, shift=2), []
    make = partial(on_pictures, augment=lambda images, step: bend(images, step // 2) if step > 1 else images)
    _, records, state, plain_records, plain_state = both_ways(device, make, train_pictures, lines.append)
    assert records == plain_records
    assert_same(state, plain_state)
    assert len(lines) == 1
    assert lines[0].startswith("The plain layers train: TypeError: unsupported operand type(s) for //: 'StepNumber'")


def test_a_step_that_fails_in_the_middle_is_repeated_by_the_plain_layers(monkeypatch):
    """Batch-norm's running statistics have moved by then."""
    device, lines = captured_device(monkeypatch), []

    class Odd(ReLU):
        draws_masks = True

        def forward(self, x, train=False, step=0):
            return super().forward(x if step % 2 else 2 * x)

    make = make_with(OPTIMIZERS["Adam"], TOOLS["all"], lambda backend: [Odd()])
    _, records, state, plain_records, plain_state = both_ways(device, make, train_table, lines.append)
    assert records == plain_records
    assert_same(state, plain_state)
    assert len(lines) == 1


def test_a_loss_that_waits_for_the_device_is_launched_step_by_step(monkeypatch):
    device, lines = captured_device(monkeypatch), []

    def waiting(outputs, labels):
        with strict_device.allow_sync():
            assert float(outputs.max()) <= 0
        return nll_loss(outputs, labels)

    train = partial(train_table, loss=waiting)
    _, records, state, plain_records, plain_state = both_ways(
        device, make_with(OPTIMIZERS["Adam"], {}), train, lines.append
    )
    assert records == plain_records
    assert_same(state, plain_state)
    assert device.cuda.replays == 0
    assert len(lines) == 1
    assert lines[0].startswith("No CUDA graph (RuntimeError: cudaErrorStreamCaptureUnsupported")


class Signs(SGD):
    """An optimiser of a user's own."""


@pytest.mark.parametrize("case", ["optimiser", "dampening", "one layer twice"])
def test_what_the_kernels_do_not_know_is_said_once(monkeypatch, case):
    device, lines = captured_device(monkeypatch), []
    own = {"optimiser": lambda: Signs(0.1, 0.5), "dampening": lambda: SGD(0.1, 0.5, dampening=0.1)}.get(
        case, OPTIMIZERS["SGD"]
    )

    def twice(backend):
        layer = Linear(7, 7, rng=np.random.default_rng(2), dtype="float64", backend=backend)
        return [layer, layer] if case == "one layer twice" else [Residual(layer)]

    _, records, state, plain_records, plain_state = both_ways(
        device, make_with(own, {}, twice), train_table, lines.append
    )
    assert records == plain_records
    assert_same(state, plain_state)
    reason = {"optimiser": "SGD, Adam and AdamW, not Signs", "dampening": "no dampening"}.get(
        case, "two layers share an array"
    )
    assert len(lines) == 1
    assert lines[0].endswith(reason)


def test_layers_inside_of_layers_keep_their_arrays(monkeypatch):
    device = captured_device(monkeypatch)

    def nested(backend):
        o = {"rng": np.random.default_rng(2), "dtype": "float64", "backend": backend}
        return [
            Residual(Sequential([Linear(7, 7, **o), BatchNorm1d(7, **o)], "float64", backend)),
            Residual(Linear(7, 7, **o)),
        ]

    make = make_with(OPTIMIZERS["AdamW"], TOOLS["none"], nested)
    fast, records, state, plain_records, plain_state = both_ways(device, make, train_table)
    assert isinstance(fast, CapturedModel)
    assert records == plain_records
    assert_same(state, plain_state)


def test_a_model_trained_by_two_optimisers_in_turn(monkeypatch):
    device = captured_device(monkeypatch)

    def train(model, optimizer, tools):
        other = Adam(0.01)
        for turn in (optimizer, other, optimizer):
            yield from train_table(model, turn, tools, epochs=1)

    _, records, state, plain_records, plain_state = both_ways(device, make_with(OPTIMIZERS["momentum"], {}), train)
    assert records == plain_records
    assert_same(state, plain_state)
