"""A batch divided among ranks: the gradients of one process, and the same bits on any number of ranks."""

import hashlib
from functools import partial

import numpy as np
import pytest

from distributed.thread_ranks import on_ranks
from synann_np import fast
from synann_np.data import batches, load_mnist
from synann_np.data.augment import Augment
from synann_np.distributed import DataParallel, Serial
from synann_np.distributed.replicas import ReplicasDiffer
from synann_np.layers import BatchNorm2d, Dropout, Flatten, Layer, Linear, LogSoftmax
from synann_np.losses import cross_entropy, nll_loss
from synann_np.models import MODELS
from synann_np.optim import SGD
from synann_np.sequential import Sequential
from synann_np.train import evaluate, fit, gradients
from synann_np.training.tools import TrainingTools
from synann_np.training.weight_average import WeightAverage

ENGINES = pytest.mark.parametrize("engine", ["plain", "fast"])
AUGMENT = Augment(3, shift=2, elastic=1)


@pytest.fixture(scope="module")
def images():
    x, labels, *_ = load_mnist()
    return x[:300], labels[:300].astype("int64")


def built(name, engine, dtype="float64", threads=1):
    model = MODELS[name](5, dtype)
    return fast.compile(model, threads, input_gradient=False) if engine == "fast" else model


def divided_gradients(model, comm, images, N, dtype="float64"):
    parallel = DataParallel(model, comm, 8)
    ((x, labels),) = parallel.batches(*images, N, np.arange(N), dtype, AUGMENT, 7)
    return parallel.gradients(x, labels, 7)


@ENGINES
@pytest.mark.parametrize(
    ("name", "N"),
    [*((name, 45) for name in MODELS), ("synann", 5), ("rnn", 5)],
    ids=lambda value: {45: "uneven chunks", 5: "empty chunks"}.get(value, value),
)
def test_gradients_and_statistics_are_those_of_the_whole_batch(name, engine, N, images):
    model, twin = built(name, engine), MODELS[name](5, "float64")
    loss, grads = divided_gradients(model, Serial(), images, N)
    ((x, labels),) = batches(*(a[:N] for a in images), N, dtype="float64", augment=AUGMENT, step=7)
    expected_loss, expected = gradients(twin, x, labels, 7)
    assert abs(loss - expected_loss) <= 1e-14 * abs(expected_loss)
    assert grads.keys() == expected.keys()
    for key, g in expected.items():  # below 1e-15 is what is left of an exact 0
        assert np.abs(grads[key] - g).max() <= 1e-11 * np.abs(g).max() + 1e-15, key
    for key, buffer in twin.buffers.items():
        assert np.allclose(model.buffers[key], buffer, rtol=1e-12, atol=1e-15), key


@ENGINES
@pytest.mark.parametrize("name", ["synann", "rnn"])
def test_gradients_have_the_same_bits_on_any_number_of_ranks_and_threads(name, engine, images):
    def digest(comm):
        model = built(name, engine, "float32", threads=1 + comm.size % 2)
        _, grads = divided_gradients(model, comm, images, 93, "float32")
        arrays = grads | model.buffers
        return hashlib.sha256(b"".join(arrays[key].tobytes() for key in sorted(arrays))).hexdigest()

    found = [*on_ranks(4, digest), *on_ranks(2, digest), digest(Serial())]
    assert len(set(found)) == 1


def trained(comm, images):
    """Everything on: dropout, augmentation, schedule, smoothing, clipping, average, last smaller batch."""
    model = MODELS["synann"](5)
    tools = TrainingTools(
        schedule=lambda step: 0.01 / (1 + step), label_smoothing=0.1, max_norm=0.5, augment=AUGMENT,
        average=WeightAverage(model, 0.9),
    )  # fmt: skip
    test_set = tuple(a[:70] for a in images)
    records = list(
        fit(
            DataParallel(model, comm, 8), SGD(0.01, 0.5), images, test_set, 1,
            batch_size=93, test_batch_size=30, log_interval=2, tools=tools,
        )
    )  # fmt: skip
    return records, model.state_dict() | {f"average {k}": a for k, a in tools.average.arrays.items()}


def test_a_run_with_everything_on_has_the_same_bits_on_any_number_of_ranks(images):
    records, arrays = trained(Serial(), images)
    assert len(records) == 3
    for size in (2, 4):
        for found, found_arrays in on_ranks(size, lambda comm: trained(comm, images)):
            assert found == records
            assert all(np.array_equal(found_arrays[key], a) for key, a in arrays.items())


def test_evaluation_gives_the_numbers_of_one_process(images):
    model = MODELS["lenet"](5)
    expected = evaluate(model, *images, 70)
    for size in (1, 2, 4):
        for found in on_ranks(size, lambda comm: DataParallel(model, comm, 8).evaluate(*images, 70)):
            assert found == expected


def test_without_chunks_any_number_of_ranks_computes_the_gradients_up_to_rounding(images):
    def grads_of(comm):
        parallel = DataParallel(built("lenet", "plain"), comm)
        ((x, labels),) = parallel.batches(*images, 90, np.arange(90), "float64")
        return parallel.gradients(x, labels, 0)[1]

    (expected,), (found, *_) = on_ranks(1, grads_of), on_ranks(3, grads_of)
    for key, g in expected.items():
        assert np.abs(found[key] - g).max() <= 1e-11 * np.abs(g).max() + 1e-15, key


def test_layers_of_a_sequential_inside_are_divided_too(images):
    def model():
        rng = np.random.default_rng(1)
        inner = Sequential([("norm", BatchNorm2d(1, dtype="float64")), ("drop", Dropout(0.5, seed=2))], "float64")
        head = [("flatten", Flatten()), ("fc", Linear(784, 10, rng=rng, dtype="float64")), ("out", LogSoftmax())]
        return Sequential([("inner", inner), *head], "float64")

    ((x, labels),) = batches(*(a[:20] for a in images), 20, dtype="float64")
    _, expected = gradients(model(), x, labels, 3)
    parallel = DataParallel(model(), Serial(), 4)
    ((x, labels),) = parallel.batches(*images, 20, np.arange(20), "float64")
    _, found = parallel.gradients(x, labels, 3)
    assert found.keys() == expected.keys()
    for key, g in expected.items():
        assert np.abs(found[key] - g).max() <= 1e-11 * np.abs(g).max(), key


class MeanOfBatch(Layer):
    mixes_rows = True


class OwnMasks(Layer):
    draws_masks = True

    def forward(self, x, train=False, step=0):
        return x, None


@pytest.mark.parametrize(("layer", "words"), [(MeanOfBatch(), "mixes rows"), (OwnMasks(), "first_row")])
def test_layers_that_cannot_be_divided_are_refused_by_name(layer, words):
    with pytest.raises(ValueError, match=f"odd: .*{words}"):
        DataParallel(Sequential([("odd", layer)]), Serial(), 8)


def test_a_whole_batch_of_one_row_is_refused_by_batch_norm(images):
    with pytest.raises(ValueError, match="more than one value per channel"):
        divided_gradients(MODELS["lenet"](5, "float64"), Serial(), images, 1)


def test_replicas_that_differ_in_one_bit_are_found(images):
    def differ(comm):
        model = MODELS["lenet"](5)
        if comm.rank == 1:
            model.params["fc2.bias"][0] = np.nextafter(model.params["fc2.bias"][0], np.float32(1))
        try:
            DataParallel(model, comm, 8).evaluate(*images, 100)
        except ReplicasDiffer as error:
            return str(error)

    first, second = on_ranks(2, differ)
    assert first == second
    assert "rank 1" in first
    assert " on " in first


WEIGHTED = {
    "sample weights": (nll_loss, True),
    "class weights": (partial(nll_loss, class_weights=np.arange(10.0)), False),
    "all of them": (partial(cross_entropy, class_weights=np.arange(10.0), ignore_index=3), True),
}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("case", WEIGHTED)
def test_a_weighted_loss_trains_as_in_one_process_and_has_the_same_bits_on_any_number_of_ranks(case, smoothing, images):
    loss, weighted = WEIGHTED[case]
    weights = np.random.default_rng(4).random(300) * (np.arange(300) % 25 > 5)  # whole chunks without weight
    tools = TrainingTools(label_smoothing=smoothing)

    def trained(comm, divided=True):
        model = built("lenet", "plain")
        runner = DataParallel(model, comm, 8) if divided else model
        train_set = (*(a[:50] for a in images), *([weights[:50]] if weighted else []))
        options = {"batch_size": 20, "log_interval": 1, "loss": loss, "tools": tools}
        records = fit(runner, SGD(0.5), train_set, None, 1, **options)
        return [record.loss for record in records], model.params

    expected_losses, expected = trained(None, divided=False)
    losses, params = trained(Serial())
    assert np.allclose(losses, expected_losses, rtol=1e-12, atol=0)
    for key, a in expected.items():
        assert np.abs(params[key] - a).max() <= 1e-11 * np.abs(a).max(), key
    for size in (2, 4):
        for its_losses, its in on_ranks(size, trained):
            assert its_losses == losses
            assert all(np.array_equal(its[key], a) for key, a in params.items())


def test_a_batch_without_any_weight_teaches_nothing(images):
    parallel = DataParallel(built("lenet", "plain"), Serial(), 4)
    ((x, labels),) = parallel.batches(*images, 20, np.arange(20), "float64")
    loss, grads = parallel.gradients(x, labels, 0, partial(nll_loss, class_weights=np.zeros(10)))
    assert loss == 0
    assert not any(g.any() for g in grads.values())


@pytest.mark.parametrize(
    ("options", "weights", "words"),
    [({"class_weights": np.arange(10.0)}, (), "class_weights"), ({}, (np.ones(20),), "sample weights")],
)
def test_weights_of_a_loss_that_does_not_tell_the_weight_of_a_part_are_refused(options, weights, words, images):
    def own(outputs, targets, **options):
        return nll_loss(outputs, targets, **options)

    parallel = DataParallel(built("lenet", "plain"), Serial(), 4)
    train_set = (*(a[:20] for a in images), *weights)
    with pytest.raises(ValueError, match=f"fit: {words} cannot be divided over processes: the loss has no attribute"):
        list(fit(parallel, SGD(0.01), train_set, None, 1, batch_size=10, loss=partial(own, **options)))
