"""Losses, metrics and callbacks as arguments of fit."""

from functools import partial

import numpy as np
import pytest

from synann_np.layers import Linear, LogSoftmax, ReLU, Softmax
from synann_np.losses import cross_entropy, mse_loss, nll_loss
from synann_np.optim import SGD, Adam
from synann_np.sequential import Sequential
from synann_np.train import EvalRecord, TrainRecord, evaluate, fit
from synann_np.training.callbacks import BestEpoch, EarlyStopping
from synann_np.training.history import read_history, to_line
from synann_np.training.metrics import accuracy, mean_squared_error, top_k
from synann_np.training.tools import TrainingTools


def table(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 60)
    return np.eye(3)[labels] * 3 + rng.standard_normal((60, 3)), labels


def model_ending_with(*last):
    rng = np.random.default_rng(1)
    layers = [("fc1", Linear(3, 6, rng=rng)), ("relu", ReLU()), ("fc2", Linear(6, 3, rng=rng))]
    return Sequential([*layers, *((type(layer).__name__, layer) for layer in last)])


def test_cross_entropy_of_logits_trains_as_nll_of_log_softmax():
    runs = []
    for model, loss in ((model_ending_with(LogSoftmax()), nll_loss), (model_ending_with(), cross_entropy)):
        records = list(fit(model, SGD(0.1), table(), table(1), 3, batch_size=10, loss=loss))
        runs.append(([r.loss for r in records], model.state_dict()))
    np.testing.assert_allclose(runs[0][0], runs[1][0], rtol=1e-5)
    for name, a in runs[0][1].items():
        np.testing.assert_allclose(runs[1][1][name], a, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("last", "loss", "message"),
    [
        ([], nll_loss, "look like logits: end the model with LogSoftmax, or use cross_entropy"),
        ([Softmax()], nll_loss, "look like probabilities: end the model with LogSoftmax"),
        ([Softmax()], cross_entropy, "rows that are probabilities"),
        ([], partial(nll_loss, class_weights=[1, 2, 3]), "look like logits"),
    ],
)
def test_a_loss_that_is_handed_what_it_cannot_mean_says_so_before_training(last, loss, message):
    with pytest.raises(ValueError, match=message):
        fit(model_ending_with(*last), SGD(0.1), table(), table(1), 1, loss=loss)


def test_an_own_loss_and_own_targets():
    def absolute(outputs, targets):
        difference = outputs - targets
        return abs(difference).mean(), np.sign(difference) / difference.size

    x, _ = table()
    targets = x @ np.ones((3, 3))
    records = list(fit(model_ending_with(), Adam(0.02), (x, targets), (x, targets), 30, batch_size=20, loss=absolute))
    evaluations = [r for r in records if isinstance(r, EvalRecord)]
    assert evaluations[-1].loss < evaluations[0].loss / 4
    assert evaluations[-1].correct is None


def test_label_smoothing_is_refused_where_the_loss_has_none():
    x, labels = table()
    with pytest.raises(ValueError, match=r"label_smoothing 0\.1, but the loss has no such argument"):
        fit(model_ending_with(), SGD(0.1), (x, x), None, 1, loss=mse_loss, tools=TrainingTools(label_smoothing=0.1))
    model = model_ending_with()
    list(fit(model, SGD(0.1), (x, labels), None, 1, loss=cross_entropy, tools=TrainingTools(label_smoothing=0.1)))


def test_a_loss_of_weighted_rows_does_not_depend_on_the_batch_size_of_the_evaluation():
    x, labels = table()
    model, loss = model_ending_with(LogSoftmax()), partial(nll_loss, class_weights=[5.0, 1, 0.1])
    losses = [evaluate(model, x, labels, batch_size=size, loss=loss)[0] for size in (7, 60)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


# Metrics


def test_metrics_are_values_of_the_whole_test_set():
    metrics = {"accuracy of the class 2": lambda y, t: (y.argmax(axis=1) == t)[t == 2].mean(), "top 2": top_k(2)}
    model = model_ending_with(LogSoftmax())
    *_, record = fit(model, Adam(0.05), table(), table(1), 4, batch_size=10, test_batch_size=7, metrics=metrics)
    x, labels = table(1)
    y = model.forward(x.astype("float32"))[0]
    assert record.metrics["top 2"] == top_k(2)(y, labels)
    assert record.metrics["accuracy of the class 2"] == (y.argmax(axis=1) == 2)[labels == 2].mean()
    assert record.accuracy == accuracy(y, labels)


def test_metrics_come_back_from_the_history_and_records_without_any_look_as_before(tmp_path):
    plain, more = EvalRecord(1, 2, 0.5, 3, 4), EvalRecord(1, 2, 0.5, None, 4, {"error": 0.25})
    assert to_line(plain) == '{"kind": "eval", "epoch": 1, "step": 2, "loss": 0.5, "correct": 3, "total": 4}\n'
    (tmp_path / "h.jsonl").write_text(to_line(plain) + to_line(more))
    assert read_history(tmp_path / "h.jsonl") == [plain, more]


def test_accuracy_and_top_k_equal_counting(rng):
    y, labels = rng.integers(0, 4, (50, 6)).astype(float), rng.integers(0, 6, 50)
    pairs = list(zip(y, labels, strict=True))
    assert accuracy(y, labels) == np.mean([row.argmax() == label for row, label in pairs])
    for k in (1, 3, 6, 9):
        right = [
            label in sorted(range(6), key=lambda i: (-row[i], i))[:k] for row, label in zip(y, labels, strict=True)
        ]
        assert top_k(k)(y, labels) == np.mean(right)
    assert top_k(6)(y, labels) == 1


def test_metrics_refuse_shapes_that_do_not_fit():
    for outputs, labels in ((np.zeros(3), np.zeros(3)), (np.zeros((3, 2)), np.zeros((3, 1))), (np.zeros((0, 2)), [])):
        with pytest.raises(ValueError, match="expected outputs"):
            accuracy(outputs, labels)
    with pytest.raises(ValueError, match="of one shape"):
        mean_squared_error(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ValueError, match="k >= 1"):
        top_k(0)
    assert mean_squared_error([[1.0], [3]], [[0], [0]]) == 5


# Callbacks


def test_callbacks_see_every_record_and_a_true_result_ends_the_run_after_it():
    seen = []

    def stop(record):
        seen.append(record)
        return record.step == 3

    model = model_ending_with(LogSoftmax())
    records = list(
        fit(model, SGD(0.1), table(), table(1), 9, batch_size=20, log_interval=1, callbacks=[stop, lambda r: None])
    )
    assert records == seen
    assert [type(r) for r in records] == [TrainRecord] * 3


def evaluations(*accuracies):
    return [EvalRecord(i + 1, i + 1, 1 - a / 100, a, 100, {"f": a, "my loss": a}) for i, a in enumerate(accuracies)]


@pytest.mark.parametrize(
    ("monitor", "best_epoch", "stops_at"),
    [("accuracy", 3, 5), ("loss", 3, 5), ("f", 3, 5), ("my loss", 1, 3)],
)
def test_early_stopping_waits_for_a_better_epoch(monitor, best_epoch, stops_at):
    stopping = EarlyStopping(2, monitor=monitor)
    stops = [bool(stopping(record)) for record in evaluations(10, 20, 50, 40, 50, 45)]
    assert stops.index(True) + 1 == stops_at
    assert stopping.epoch == best_epoch


def test_nan_is_no_better_value():
    best = BestEpoch(monitor="f")
    for value in (np.nan, 1.0, np.nan):
        best(EvalRecord(1, 1, 0.5, 1, 2, {"f": value}))
    assert best.value == 1


def test_the_best_weights_are_restored():
    model = model_ending_with(LogSoftmax())
    stopping, states = EarlyStopping(3, model, monitor="loss"), []
    for record in fit(model, SGD(0.3), table(), table(1), 30, batch_size=5, callbacks=[stopping]):
        if isinstance(record, EvalRecord):
            states.append((record.loss, model.state_dict()))
    assert len(states) < 30
    stopping.restore()
    _, best = min(states, key=lambda state: state[0])
    assert all(np.array_equal(a, best[name]) for name, a in model.state_dict().items())


def test_callbacks_refuse_what_is_not_there():
    with pytest.raises(ValueError, match="have no 'f1'"):
        BestEpoch(monitor="f1")(evaluations(1)[0])
    with pytest.raises(ValueError, match="have no 'accuracy'"):
        BestEpoch()(EvalRecord(1, 1, 0.5, None, 2))
    with pytest.raises(ValueError, match="no weights were kept"):
        BestEpoch().restore()
    with pytest.raises(ValueError, match="patience"):
        EarlyStopping(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "nll"}, "loss to be a function such as nll_loss, got 'nll'"),
        ({"metrics": [accuracy]}, "metrics to be a dict of functions"),
        ({"metrics": {"accuracy": 1}}, "metrics to be a dict of functions"),
    ],
)
def test_what_is_no_function_is_refused_before_training(options, message):
    with pytest.raises(TypeError, match=message):
        fit(model_ending_with(LogSoftmax()), SGD(0.1), table(), None, 1, **options)


@pytest.mark.parametrize("data_set", [table()[0], (table()[0],), None, iter(table())])
def test_a_data_set_is_a_pair(data_set):
    with pytest.raises(TypeError, match=r"fit: train_set: expected a pair \(x, targets\)"):
        fit(model_ending_with(LogSoftmax()), SGD(0.1), data_set, None, 1)


def test_a_single_callback_needs_no_list():
    seen = []
    records = list(fit(model_ending_with(LogSoftmax()), SGD(0.1), table(), table(1), 1, callbacks=seen.append))
    assert seen == records
