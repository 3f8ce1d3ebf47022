"""Training towards the answers of other models."""

from functools import partial

import numpy as np
import pytest

from synann_np.data.augment import Augment
from synann_np.distributed import DataParallel
from synann_np.distributed.communicator import Serial
from synann_np.layers import Flatten, Linear, LogSoftmax, Normalize
from synann_np.losses import cross_entropy, nll_loss, soft_nll_loss
from synann_np.models import MODELS
from synann_np.optim import SGD
from synann_np.sequential import Sequential
from synann_np.train import fit, train_step
from synann_np.training.teacher import Teacher
from synann_np.training.tools import TrainingTools


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (60, 28, 28), dtype="uint8"), rng.integers(0, 10, 60)


def linear(seed, outputs=10, dtype="float64", *more):
    layer = Linear(784, outputs, rng=np.random.default_rng(seed), dtype=dtype)
    return Sequential([*more, ("flatten", Flatten()), ("fc", layer), ("log_softmax", LogSoftmax())], dtype)


def test_targets_are_the_mean_of_the_answers_and_the_smoothed_labels():
    models, x, labels = [linear(1), linear(2)], np.random.default_rng(0).standard_normal((4, 1, 28, 28)), [3, 0, 3, 9]
    found = Teacher(models, 0.7).targets(x, np.array(labels), 0.2)
    for n in range(4):
        for k in range(10):
            answers = [float(np.exp(model.forward(x)[0][n, k])) for model in models]
            label = (0.8 if labels[n] == k else 0.0) + 0.2 / 10
            assert found[n, k] == pytest.approx(0.7 * sum(answers) / 2 + 0.3 * label, rel=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)


def test_a_teacher_of_weight_0_changes_nothing(images):
    weights = []
    for teacher in (None, Teacher([linear(7)], 0)):
        model = linear(5)
        list(fit(model, SGD(0.1), images, None, 2, tools=TrainingTools(label_smoothing=0.1, teacher=teacher)))
        weights.append(model.params["fc.weight"])
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-9, atol=1e-12)


def test_a_step_is_that_of_soft_labels_and_the_teacher_sees_the_deformed_images(images):
    model, by_hand, teacher = linear(5), linear(5), Teacher([linear(7)], 1)
    augment, batch = Augment(1, shift=2), images[0][:20]
    tools = TrainingTools(augment=augment, teacher=teacher)
    fitted = fit(model, SGD(0.1), (batch, images[1][:20]), None, 1, batch_size=20, seed=2, tools=tools)
    list(fitted)
    seen = []
    recording = Teacher([linear(7)], 1)
    recording.targets = lambda x, labels, **options: seen.append(x) or teacher.targets(x, labels, **options)
    list(fit(linear(5), SGD(0.1), (batch, images[1][:20]), None, 1, batch_size=20, seed=2,
             tools=TrainingTools(augment=augment, teacher=recording)))  # fmt: skip
    x = seen[0]
    assert not any(
        np.allclose(x[n, 0], (batch[m] / 255 - 0.1307) / 0.3081, atol=1e-3) for n in range(20) for m in range(1)
    )
    train_step(by_hand, SGD(0.1), x, np.exp(linear(7).forward(x)[0]), 0, loss=soft_nll_loss)
    np.testing.assert_allclose(model.params["fc.weight"], by_hand.params["fc.weight"], rtol=1e-12)


def test_a_student_learns_from_answers_alone(images):
    """A teacher of weight 1: the labels do not count."""
    model, teacher = linear(5), linear(7)
    x = ((images[0] / 255 - 0.1307) / 0.3081)[:, None]

    def difference():
        return np.abs(np.exp(model.forward(x)[0]) - np.exp(teacher.forward(x)[0])).max()

    before = difference()
    list(
        fit(
            model,
            SGD(0.0005, 0.9),
            images,
            None,
            200,
            batch_size=20,
            tools=TrainingTools(teacher=Teacher([teacher], 1)),
        )
    )
    assert difference() < 0.1 * before


def test_divided_batches_have_the_teacher_too(images):
    weights = []
    for divided in (False, True):
        model = MODELS["lenet"](5, "float64")
        runner = DataParallel(model, Serial(), 4) if divided else model
        tools = TrainingTools(teacher=Teacher([MODELS["lenet"](6, "float64")], 0.9), augment=Augment(5, shift=2))
        list(fit(runner, SGD(0.05), images, None, 1, batch_size=20, tools=tools))
        weights.append(model.state_dict())
    for name, a in weights[0].items():
        np.testing.assert_allclose(weights[1][name], a, rtol=1e-7, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    ("teacher", "options", "message"),
    [
        (partial(Teacher, [linear(1, dtype="float32")]), {}, "expected a model on numpy in float64, .* in float32"),
        (partial(Teacher, [linear(1, 3)]), {}, r"expected answers \(1, 10\) like the student's, got \(1, 3\)"),
        (partial(Teacher, [linear(1, 10, "float64", ("n", Normalize(1, dtype="float64")))]), {},
         "begins with a Normalize layer"),
        (partial(Teacher, [Sequential(list(linear(1).layers.items())[:-1], "float64")]), {}, "logits"),
        (partial(Teacher, [linear(1)]), {"loss": cross_entropy}, "a teacher needs loss=nll_loss"),
        (partial(Teacher, [linear(1)]), {"loss": partial(nll_loss, ignore_index=1)}, "a teacher needs loss=nll_loss"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_training(teacher, options, message, images):
    student = linear(5)
    before = student.params["fc.weight"].copy()
    with pytest.raises(ValueError, match=message):
        fit(student, SGD(0.1), images, None, 1, tools=TrainingTools(teacher=teacher()), **options)
    np.testing.assert_array_equal(student.params["fc.weight"], before)


def test_sample_weights_are_refused(images):
    with pytest.raises(ValueError, match="without sample weights"):
        fit(linear(5), SGD(0.1), (*images, np.ones(60)), None, 1, tools=TrainingTools(teacher=Teacher([linear(1)])))


@pytest.mark.parametrize(
    ("models", "weight"), [([], 0.5), ([linear(1)], -0.1), ([linear(1)], 1.1), ([linear(1)], np.nan)]
)
def test_a_teacher_needs_a_model_and_a_weight(models, weight):
    with pytest.raises(ValueError, match=r"one model or more and a weight in 0\.\.1"):
        Teacher(models, weight)
