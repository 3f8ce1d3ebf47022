"""The training loop. It prints nothing: it yields records, and whoever iterates shows or stores them."""

import math
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any

from . import arguments
from .backend import Array
from .data import batches, epoch_permutation
from .losses import nll_loss
from .training.check_options import check_divisible, check_options
from .training.clipping import clip_grad_norm
from .training.data_set import check_data_set, check_last_batch, scaling
from .training.evaluation import evaluate, evaluate_set, outputs, predict, predict_proba
from .training.loss_of_rows import LossOfRows
from .training.records import EvalRecord, NonFiniteLoss, TrainRecord, at_chance
from .training.run import Run
from .training.tools import PLAIN, TrainingTools

__all__ = [
    "EvalRecord", "NonFiniteLoss", "TrainRecord", "at_chance", "evaluate", "fit",
    "outputs", "predict", "predict_proba", "train_step", "train_steps",
]  # fmt: skip


def fit(
    model: Any, optimizer: Any, train_set: Any, test_set: Any, epochs: int,
    *, batch_size: int = 100, test_batch_size: int = 1000, seed: int = 5, log_interval: int = 100, step: int = 0,
    finished: int | None = None, tools: TrainingTools = PLAIN, loss: Callable = nll_loss,
    metrics: dict[str, Callable] | None = None, callbacks: Callable | Iterable[Callable] = (),
) -> Run:  # fmt: skip
    """Train, and evaluate after every epoch: an iterator: it trains only as you iterate over it.

        for record in fit(model, SGD(0.01), (x_train, labels_train), (x_test, labels_test), epochs=10):
            print(record)

    Whenever a record is yielded, model and optimiser are in the state after `record.step` updates, so they may be
    saved there. The order of the examples and the dropout masks are functions of (seed, epoch, step): to continue a
    run, load model and optimiser and pass the step that they had, and how many epochs the run had finished (after an
    EvalRecord the epoch of the record, after a TrainRecord one less).

    Arguments:
        model: Sequential, x (N, ...) -> log probabilities (N, K), or what `loss` takes. If it has methods train_steps
            and evaluate, with the arguments of the functions below except model, they replace those functions
        (evaluate only if the loss is nll_loss, without weights and metrics).
        optimizer: has step(params, grads).
        train_set: (x, targets) or (x, targets, sample weights). x (N, ...): numbers of any type as the model takes
            them, cast batch by batch to its dtype; uint8 is for pixels, (N, H, W) or (N, C, H, W): they are scaled to
            0..1 and normalised by the model's Normalize layer, or by MNIST's mean and standard deviation if it has
            none. targets: labels (N,), whole numbers in 0..K−1, or what `loss` takes.
        test_set: the same; None: nothing is evaluated.
        epochs: the last epoch, counted from the start of the run.
        batch_size, test_batch_size: examples at a time.
        seed: of the order of the examples.
        log_interval: batches between two train records; the host waits for the device only there.
        step: updates that were done before.
        finished: epochs that were done before, evaluation included. It distinguishes a run stopped between the last
            batch of an epoch and its evaluation from one stopped after it. None: all epochs whose batches are done.
        tools: TrainingTools: schedule, label smoothing, clipping, average of the weights, augmentation.
        loss: function of outputs and targets -> value and gradient, see losses;
            functools.partial(nll_loss, class_weights=...) sets its options.
        metrics: dict name -> function of all outputs and targets of the test set, see training/metrics.py.
        callbacks: functions of a record, called before it is yielded; if one returns True the run ends, see
            training/callbacks.py.

    Yields: TrainRecord for every log_interval-th batch, EvalRecord after every epoch.

    Raises: TypeError, ValueError at the call, before anything is trained: data that are not as above. NonFiniteLoss at
        a record whose loss is NaN or infinite; on the host at the first batch, of training or evaluation, with NaN.
    """
    check_options(loss, metrics, tools)
    for name, value in {
        "batch_size": batch_size,
        "test_batch_size": test_batch_size,
        "log_interval": log_interval,
    }.items():
        arguments.integer("fit", name, value)
    train_set = check_data_set(model, train_set, loss, "fit: train_set", batch_size)
    if hasattr(model, "batches"):
        check_divisible(train_set, loss)
    check_last_batch(model, train_set, batch_size)
    if test_set is not None:
        test_set = check_data_set(model, test_set, loss, "fit: test_set", test_batch_size)
    batches_per_epoch = math.ceil(len(train_set) / batch_size)
    finished = step // batches_per_epoch if finished is None else finished
    if not 0 <= step - finished * batches_per_epoch <= batches_per_epoch:
        raise ValueError(f"fit: step {step} is not in epoch {finished + 1} of {batches_per_epoch} batches each")
    run_steps = getattr(model, "train_steps", partial(train_steps, model))
    run_steps = partial(run_steps, tools=tools, loss=loss, weights=train_set.weights)

    def records(step):
        total = len(train_set)
        for epoch in range(finished + 1, epochs + 1):
            done = step - (epoch - 1) * batches_per_epoch  # batches of this epoch
            order = model.backend.asarray(epoch_permutation(total, seed, epoch))
            while done < batches_per_epoch:
                batch = min(math.ceil(done / log_interval) * log_interval, batches_per_epoch - 1)  # the next to record
                chosen = order[done * batch_size : (batch + 1) * batch_size]
                value = run_steps(optimizer, train_set.x, train_set.targets, chosen, batch_size, step)
                step, done = step + batch + 1 - done, batch + 1
                if batch % log_interval == 0:
                    on_host = float(model.backend.to_host(value))
                    yield _finite(TrainRecord(epoch, batch, batch * batch_size, total, step, on_host))
            if test_set is not None:
                try:
                    with tools.average.in_place() if tools.average else nullcontext():
                        found = evaluate_set(model, test_set, test_batch_size, loss, metrics)
                except FloatingPointError as error:  # the last update made the weights infinite
                    raise NonFiniteLoss(_advice("NaN", epoch, step)) from error
                yield _finite(EvalRecord(epoch, step, *found))

    return Run(records(step), callbacks)


def train_steps(
    model: Any, optimizer: Any, images: Array, labels: Array, order: Array, batch_size: int, step: int,
    tools: TrainingTools = PLAIN, loss: Callable = nll_loss, weights: Array | None = None,
) -> Any:  # fmt: skip
    """One update by every batch of a part of an epoch. Nothing waits for a device.

    Arguments:
        images (N, ...), labels (N, ...): all of them, on the model's backend: inputs and targets.
        order: indices of the images to learn from, on the model's backend; the last batch may be a smaller one.
        step: number of the first update.
        tools: TrainingTools. loss: as in fit. weights: of the samples, (N,), or None.

    Returns: loss of the last batch before its update, a scalar of the backend.

    Raises: NonFiniteLoss at the first batch with NaN, on the host.
    """
    divide = getattr(model, "batches", batches)  # of distributed.DataParallel: the rows of this process
    if weights is not None:
        loss, labels = LossOfRows(loss, labels, weights), model.backend.xp.arange(len(images))
    walk = divide(images, labels, batch_size, order, model.input_dtype, tools.augment, step, scaling(model))
    for done, (x, targets) in enumerate(walk):
        number = step + done
        if tools.schedule:
            optimizer.lr = tools.schedule(number)
        try:
            value = train_step(
                model, optimizer, x, targets, number, tools.label_smoothing, tools.max_norm, loss
            )  # fmt: skip
        except FloatingPointError as error:
            epoch = number // math.ceil(len(images) / batch_size) + 1
            raise NonFiniteLoss(_advice("NaN", epoch, number)) from error
        if tools.average:
            tools.average.update()
    return value


def train_step(
    model: Any, optimizer: Any, x: Array, labels: Array, step: int, label_smoothing: float = 0.0,
    max_norm: float | None = None, loss: Callable = nll_loss,
) -> Any:  # fmt: skip
    """One update of the model by one batch: forward, loss, backward, optimiser.

    Arguments:
        x, labels: a batch on the model's backend.
        step: number of the update, selects the dropout masks.
        label_smoothing, max_norm: as in TrainingTools. loss: as in fit.

    Returns: loss before the update, a scalar of the backend.
    """
    batch_loss = partial(loss, label_smoothing=label_smoothing) if label_smoothing else loss
    # distributed.DataParallel sums the gradients of all processes.
    value, grads = getattr(model, "gradients", partial(gradients, model))(x, labels, step, batch_loss)
    if max_norm is not None:
        grads, _ = getattr(model, "clip_grad_norm", clip_grad_norm)(grads, max_norm)
    optimizer.step(model.params, grads)
    return value


def gradients(
    model: Any, x: Array, labels: Array, step: int, loss: Callable = nll_loss
) -> tuple[Any, dict[str, Array]]:
    """Forward, loss and backward of a batch in training. Arguments: as train_step's.

    Returns: loss, a scalar of the backend; the gradients of the parameters, dict name -> array.
    """
    outputs, caches = model.forward(x, train=True, step=step)
    value, doutputs = loss(outputs, labels)
    _, grads = model.backward(doutputs, caches)
    return value, grads


def _finite(record):
    if not math.isfinite(record.loss):
        raise NonFiniteLoss(_advice(record.loss, record.epoch, record.step))
    return record


def _advice(loss, epoch, step):
    return (
        f"the loss is {loss} in epoch {epoch} after {step} steps: training stopped, what was saved before is kept. "
        "Try a smaller learning rate, and look for NaN or unscaled values in the data; --check-finite names the layer "
        "where it begins"
    )
