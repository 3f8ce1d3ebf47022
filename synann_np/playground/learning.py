"""The work of a training run: the package's own loop, with a look at the network now and then."""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from .. import fast
from ..data import batches
from ..losses import nll_loss
from ..programs.digits.classify import confusion_matrix
from ..sequential import Sequential
from ..train import EvalRecord, fit
from .layer_pictures import first_weights

STEPS_BETWEEN_LOOKS = 20
ESTIMATE_IMAGES = 1000
ESTIMATE_EVERY = 0.25  # seconds at least
ESTIMATE_SHARE = 10  # and at most one part in ten of the time


class CountingModel(Sequential):
    """A model whose evaluation also counts which class was taken for which.

    Attributes: confusion: (10, 10), rows are the true classes; of the last evaluation.
    """

    def evaluate(self, images: np.ndarray, labels: np.ndarray, batch_size: int) -> tuple[Any, int]:
        """As train.evaluate."""
        self.confusion: Any = 0
        total = 0.0
        for x, targets in batches(images, labels, batch_size, dtype=self.input_dtype):
            log_probs, _ = self.forward(x)
            total += float(nll_loss(log_probs, targets)[0]) * len(targets)
            self.confusion = self.confusion + confusion_matrix(targets, log_probs.argmax(axis=1))
        return total / len(images), int(self.confusion.trace())


@np.errstate(all="ignore")  # a loss that is not finite ends the run with advice, which is better than warnings
def learn(choice: Any, run: Any, data: Any, networks: Any) -> None:
    """Train to the end, or until run.go_on() says no.

    Arguments: choice: TrainingChoice. run: TrainingRun, gets records and says when to stop; its lr is the learning
    rate. data: as of load_mnist. networks: Networks, gets the weights.

    Raises: NonFiniteLoss; ValueError: as fit.
    """
    train_set, test_set = data[:2], data[2:]
    count = len(train_set[0])
    model, shown = choice.build(), choice.build()
    optimizer, tools, batch_size = choice.parts(model, count)
    compiled = fast.compile(model, input_gradient=False)
    runner = CountingModel(list(compiled.layers.items()), compiled.dtype, compiled.backend)
    schedule = tools.schedule or (lambda step: choice.lr)
    tools = replace(tools, schedule=lambda step: schedule(step) * (run.lr / choice.lr))
    runner.evaluate(test_set[0][:batch_size], test_set[1][:batch_size].astype("int64"), batch_size)  # compiles
    watch, look = Stopwatch(), Looker(runner, tools.average, *test_set)
    networks.publish(shown, model.state_dict())
    steps = choice.epochs * -(-count // batch_size)
    if not run.ready():
        return
    records = fit(
        runner, optimizer, train_set, test_set, choice.epochs,
        batch_size=batch_size, seed=choice.seed, log_interval=STEPS_BETWEEN_LOOKS, tools=tools,
    )  # fmt: skip
    watch.start()
    for record in records:
        watch.stop()
        networks.publish(shown, tools.average.state_dict() if tools.average else model.state_dict())
        latest = {"steps": steps, "step": record.step, "epoch": record.epoch, "filters": first_weights(model)}
        for entry in entries(record, runner, look):
            run.note(entry | {"lr": optimizer.lr}, latest)
        if not run.go_on(watch.seconds):
            return
        watch.start()


def entries(record: Any, runner: Any, look: Any) -> Iterator[Any]:
    """What the page is told of a record: dicts."""
    common = {"step": record.step, "epoch": record.epoch, "loss": record.loss}
    if isinstance(record, EvalRecord):
        counts = {"accuracy": record.accuracy, "correct": record.correct, "total": record.total}
        yield {"kind": "epoch", **common, **counts, "confusion": runner.confusion.tolist()}
        return
    yield {"kind": "batch", **common}
    accuracy = look.if_due()
    if accuracy is not None:
        yield {"kind": "estimate", **common, "accuracy": accuracy}


class Looker:
    """The accuracy on a part of the test set, measured so seldom that it hardly slows the training."""

    def __init__(self, model: Any, average: Any, images: np.ndarray, labels: np.ndarray) -> None:
        self.model, self.average = model, average
        self.images, self.labels = images[:ESTIMATE_IMAGES], labels[:ESTIMATE_IMAGES].astype("int64")
        self._next = 0.0

    def if_due(self) -> Any:
        """A share of right answers, or None."""
        began = time.perf_counter()
        if began < self._next:
            return None
        with self.average.in_place() if self.average else nullcontext():
            _, correct = self.model.evaluate(self.images, self.labels, ESTIMATE_IMAGES)
        ended = time.perf_counter()
        self._next = ended + max(ESTIMATE_EVERY, ESTIMATE_SHARE * (ended - began))
        return correct / len(self.images)


class Stopwatch:
    """Seconds between start and stop, added up."""

    def __init__(self) -> None:
        self.seconds, self._began = 0.0, 0.0

    def start(self) -> None:
        """Run."""
        self._began = time.perf_counter()

    def stop(self) -> None:
        """Stand still."""
        self.seconds += time.perf_counter() - self._began
