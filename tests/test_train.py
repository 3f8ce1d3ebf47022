"""The training loop on a small learnable problem."""

import math

import numpy as np
import pytest

from synann_np.layers import Flatten, Linear, LogSoftmax
from synann_np.models import SynaNN
from synann_np.optim import SGD, Adam
from synann_np.sequential import Sequential
from synann_np.train import EvalRecord, NonFiniteLoss, TrainRecord, at_chance, evaluate, fit, train_step, train_steps
from synann_np.training.schedules import cosine
from synann_np.training.tools import TrainingTools
from synann_np.training.weight_average import WeightAverage


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


@pytest.mark.parametrize("metrics", [None, {"first": lambda outputs, targets: outputs[0, 0]}])
def test_weights_that_the_last_update_made_infinite_stop_the_run_in_its_evaluation(metrics):
    data = bright_quadrants(8)
    with (
        np.errstate(all="ignore"),
        pytest.raises(NonFiniteLoss, match=r"NaN in epoch 1 after 1 steps.*smaller learning rate"),
    ):
        list(fit(linear_model(), SGD(1e38), data, data, 1, batch_size=8, metrics=metrics))


@pytest.mark.parametrize(("correct", "chance"), [(980, True), (1135, True), (1400, True), (1600, False), (9900, False)])
def test_chance_is_recognised(correct, chance):
    record = EvalRecord(epoch=1, step=600, loss=math.log(10), correct=correct, total=10_000)
    assert at_chance(record) is chance


# The tools


def trained(epochs=1, model=None, optimizer=None, **tools):
    """State of the model after `epochs` of 3 steps with these tools, and the records."""
    model = model or linear_model()
    run = fit(
        model, optimizer or SGD(0.01), bright_quadrants(60), bright_quadrants(20, 1), epochs, batch_size=20,
        log_interval=1, tools=TrainingTools(**tools),
    )  # fmt: skip
    records = list(run)
    return model.state_dict(), records


def test_the_rate_of_every_step_is_the_schedules():
    rates = []

    class Noting(SGD):
        def step(self, params, grads):
            rates.append(self.lr)
            super().step(params, grads)

    schedule = cosine(0.02, 6)
    trained(2, optimizer=Noting(99.0), schedule=schedule)
    assert rates == [schedule(step) for step in range(6)]


def test_label_smoothing_is_in_the_training_loss_and_not_in_the_evaluation():
    plain, smooth = trained()[1], trained(label_smoothing=1.0)[1]
    model = linear_model()
    x, labels = bright_quadrants(20, 1)
    assert plain[0].loss != smooth[0].loss
    model.load_state_dict(trained(label_smoothing=1.0)[0])
    loss, correct = evaluate(model, x, labels.astype("int64"))
    assert (smooth[-1].loss, smooth[-1].correct) == (pytest.approx(loss, rel=1e-6), correct)


def test_gradients_are_clipped_before_the_step():
    before = linear_model().state_dict()
    norms = []

    class Noting(SGD):
        def step(self, params, grads):
            norms.append(math.sqrt(sum(float((g * g).sum()) for g in grads.values())))
            super().step(params, grads)

    after, _ = trained(optimizer=Noting(0.1), max_norm=0.01)
    assert norms == pytest.approx([0.01] * 3, rel=1e-3)
    moved = math.sqrt(sum(float(((after[name] - a) ** 2).sum()) for name, a in before.items()))
    assert 0 < moved <= 0.1 * 0.03


def test_the_average_is_moved_each_step_and_evaluated_and_training_does_not_see_it():
    model = linear_model()
    average = WeightAverage(model, 0.999)
    weights, records = trained(2, model, average=average)
    plain_weights, plain_records = trained(2)
    assert average.updates == 6
    assert all(np.array_equal(a, plain_weights[name]) for name, a in weights.items())
    assert [r for r in records if isinstance(r, TrainRecord)] == [
        r for r in plain_records if isinstance(r, TrainRecord)
    ]
    x, labels = bright_quadrants(20, 1)
    with average.in_place():
        loss, correct = evaluate(model, x, labels.astype("int64"))
    assert (records[-1].loss, records[-1].correct) == (loss, correct)
    assert records[-1].loss != plain_records[-1].loss


def test_augmentation_sees_every_training_batch_with_its_step_and_no_other_image():
    seen = []

    def brighter(images, step):
        seen.append((len(images), step))
        return images + np.uint8(40)

    augmented, _ = trained(2, augment=brighter)
    assert seen == [(20, step) for step in range(6)]
    assert not np.array_equal(augmented["fc.weight"], trained(2)[0]["fc.weight"])
    model, images = linear_model(), bright_quadrants(20, 1)
    records = list(fit(model, SGD(0.0), bright_quadrants(60), images, 1, tools=TrainingTools(augment=brighter)))
    assert records[-1].loss == evaluate(linear_model(), images[0], images[1].astype("int64"))[0]


def test_a_run_continued_at_any_step_with_all_tools_is_the_same_run():
    def run(step=0, finished=0, model=None, optimizer=None, average=None):
        model = model or linear_model()
        optimizer = optimizer or Adam(0.01)
        average = average or WeightAverage(model, 0.9)
        tools = TrainingTools(cosine(0.01, 6), 0.1, 0.5, average, lambda images, step: images + np.uint8(step))
        data = bright_quadrants(60), bright_quadrants(20, 1)
        place = {"batch_size": 20, "log_interval": 1, "step": step, "finished": finished}
        return fit(model, optimizer, *data, 2, **place, tools=tools), model, optimizer, average

    whole, model, _, _ = run()
    records = list(whole)
    for cut in range(1, len(records)):
        first, again, optimizer, average = run()
        head = [next(first) for _ in range(cut)]
        finished = sum(isinstance(r, EvalRecord) for r in head)
        second, *_ = run(head[-1].step, finished, again, optimizer, average)
        assert head + list(second) == records
        assert all(np.array_equal(a, again.state_dict()[name]) for name, a in model.state_dict().items())


def test_a_models_own_train_steps_take_the_place_of_the_function_whatever_the_tools():
    given = []

    class Own(Sequential):
        def train_steps(self, *arguments, **options):
            given.append(sorted(options))
            return train_steps(self, *arguments, **options)

    own = Own([(name, layer) for name, layer in linear_model().layers.items()])
    state, _ = trained(model=own, label_smoothing=0.1)
    assert np.array_equal(state["fc.weight"], trained(label_smoothing=0.1)[0]["fc.weight"])
    assert given[0] == ["loss", "tools", "weights"]
