"""The training loop on a small learnable problem."""

import math

import numpy as np
import pytest

from synann_np.layers import Flatten, Linear, LogSoftmax
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.sequential import Sequential
from synann_np.train import EvalRecord, NonFiniteLoss, TrainRecord, at_chance, evaluate, fit, train_step


def bright_quadrants(n, seed=0):
    """Images whose label is the quadrant (0..3) that is bright."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n).astype("uint8")
    images = rng.integers(0, 60, (n, 28, 28)).astype("uint8")
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[14 * row : 14 * row + 14, 14 * column : 14 * column + 14] += 150
    return images, labels


def linear_model():
    rng = np.random.default_rng(1)
    layers = [("flatten", Flatten()), ("fc", Linear(784, 10, rng=rng)), ("log_softmax", LogSoftmax())]
    return Sequential(layers)


def test_a_learnable_problem_is_learned():
    records = list(fit(linear_model(), SGD(0.01), bright_quadrants(320), bright_quadrants(80, 1), 3, batch_size=16))
    assert records[-1].accuracy == 1.0
    assert records[-1].loss < 0.1


def test_records_count_examples_and_steps_and_the_last_batch_holds_the_rest():
    run = fit(linear_model(), SGD(0.01), bright_quadrants(50), bright_quadrants(10), 2, batch_size=20, log_interval=2)
    places = [(type(r), r.epoch, r.step, getattr(r, "seen", None), r.total) for r in run]
    assert places == [
        (TrainRecord, 1, 1, 0, 50),
        (TrainRecord, 1, 3, 40, 50),
        (EvalRecord, 1, 3, None, 10),
        (TrainRecord, 2, 4, 0, 50),
        (TrainRecord, 2, 6, 40, 50),
        (EvalRecord, 2, 6, None, 10),
    ]


def test_the_same_seed_gives_the_same_run_byte_for_byte():
    def run(seed):
        model = SynaNN(seed=3)
        sets = bright_quadrants(60), bright_quadrants(20, 1)
        records = list(fit(model, SGD(0.05, 0.5), *sets, 2, batch_size=25, seed=seed))
        return repr(records), b"".join(a.tobytes() for a in model.state_dict().values())

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_dropout_masks_change_from_step_to_step():
    model = SynaNN(seed=3)
    x = np.random.default_rng(0).standard_normal((8, 1, 28, 28)).astype("float32")
    first, again, next_step = (model.forward(x, train=True, step=step)[0] for step in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, next_step)


def test_a_step_returns_the_loss_before_its_update():
    model = linear_model()
    x = np.random.default_rng(0).standard_normal((6, 1, 28, 28)).astype("float32")
    labels = np.arange(6)
    before = -model.forward(x)[0][np.arange(6), labels].mean()
    assert train_step(model, SGD(0.1), x, labels, step=0) == pytest.approx(before, rel=1e-6)
    assert -model.forward(x)[0][np.arange(6), labels].mean() < before


def test_evaluation_does_not_depend_on_the_batch_size_and_leaves_the_model_alone():
    model = SynaNN(seed=3)
    before = model.state_dict()
    images, labels = bright_quadrants(30)
    loss, correct = evaluate(model, images, labels.astype("int64"), batch_size=30)
    other_loss, other_correct = evaluate(model, images, labels.astype("int64"), batch_size=7)
    assert correct == other_correct
    assert loss == pytest.approx(other_loss, rel=1e-5)
    assert all(np.array_equal(a, before[name]) for name, a in model.state_dict().items())


def test_a_loss_that_is_not_finite_stops_the_run_with_a_reason():
    with (
        np.errstate(all="ignore"),
        pytest.raises(NonFiniteLoss, match=r"after \d+ steps.*smaller learning rate"),
    ):
        list(
            fit(linear_model(), SGD(1e38), bright_quadrants(40), bright_quadrants(10), 2, batch_size=8, log_interval=1)
        )


@pytest.mark.parametrize(("correct", "chance"), [(980, True), (1135, True), (1400, True), (1600, False), (9900, False)])
def test_chance_is_recognised(correct, chance):
    record = EvalRecord(epoch=1, step=600, loss=math.log(10), correct=correct, total=10_000)
    assert at_chance(record) is chance
