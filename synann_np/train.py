"""The training loop. It prints nothing: it yields records, and whoever iterates shows or stores them."""

import math
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from .data import batches, epoch_permutation
from .losses import nll_loss
from .training.clipping import clip_grad_norm
from .training.records import EvalRecord, NonFiniteLoss, TrainRecord
from .training.tools import PLAIN


def fit(
    model, optimizer, train_set, test_set, epochs,
    *, batch_size=100, test_batch_size=1000, seed=5, log_interval=100, step=0, finished=None, tools=PLAIN,
):  # fmt: skip
    """Train, and evaluate after every epoch.

    Whenever a record is yielded, model and optimiser are in the state after `record.step` updates, so they may be
    saved there. The order of the examples and the dropout masks are functions of (seed, epoch, step): to continue a
    run, load model and optimiser and pass the step that they had, and how many epochs the run had finished (after an
    EvalRecord the epoch of the record, after a TrainRecord one less).

    Arguments:
        model: Sequential, x (N, 1, 28, 28) -> log probabilities (N, K). If it has methods train_steps and evaluate,
            with the arguments of the functions below but model and tools, they take the place of these functions
            (train_steps, which also gets `schedule`, where there are no other tools).
        optimizer: has step(params, grads).
        train_set, test_set: (images (N, 28, 28) uint8, labels (N,)), host arrays.
        epochs: to end with, counted from the start of the run.
        batch_size, test_batch_size: examples at a time.
        seed: of the order of the examples.
        log_interval: batches between two train records; only there the host waits for a device.
        step: updates that were done before.
        finished: epochs that were done before, evaluation included. It tells a run cut between the last batch of an
            epoch and its evaluation from one cut after it. None: all epochs whose batches are done.
        tools: TrainingTools: schedule, label smoothing, clipping, average of the weights, augmentation.

    Yields: TrainRecord for every log_interval-th batch, EvalRecord after every epoch.

    Raises: NonFiniteLoss at a record whose loss is NaN or infinite; on the host at the first batch with NaN.
    """
    images, labels = _to_backend(model.backend, train_set)
    test_set = _to_backend(model.backend, test_set)
    total = len(images)
    batches_per_epoch = math.ceil(total / batch_size)
    finished = step // batches_per_epoch if finished is None else finished
    if not 0 <= step - finished * batches_per_epoch <= batches_per_epoch:
        raise ValueError(f"fit: step {step} is not in epoch {finished + 1} of {batches_per_epoch} batches each")
    run_steps = partial(train_steps, model, tools=tools)
    if replace(tools, schedule=None) == PLAIN and hasattr(model, "train_steps"):
        run_steps = partial(model.train_steps, schedule=tools.schedule)
    run_evaluation = getattr(model, "evaluate", partial(evaluate, model))
    for epoch in range(finished + 1, epochs + 1):
        done = step - (epoch - 1) * batches_per_epoch  # batches of this epoch
        order = model.backend.asarray(epoch_permutation(total, seed, epoch))
        while done < batches_per_epoch:
            batch = min(math.ceil(done / log_interval) * log_interval, batches_per_epoch - 1)  # the next one to record
            chosen = order[done * batch_size : (batch + 1) * batch_size]
            loss = run_steps(optimizer, images, labels, chosen, batch_size, step)
            step, done = step + batch + 1 - done, batch + 1
            if batch % log_interval == 0:
                yield _finite(TrainRecord(epoch, batch, batch * batch_size, total, step, _to_float(model, loss)))
        with tools.average.in_place() if tools.average else nullcontext():
            loss, correct = run_evaluation(*test_set, test_batch_size)
        yield _finite(EvalRecord(epoch, step, loss, correct, len(test_set[0])))


def train_steps(model, optimizer, images, labels, order, batch_size, step, tools=PLAIN):
    """One update by every batch of a part of an epoch. Nothing waits for a device.

    Arguments:
        images (N, 28, 28) uint8, labels (N,): all of them, on the model's backend.
        order: indices of the images to learn from, on the model's backend; the last batch may be a smaller one.
        step: number of the first update.
        tools: TrainingTools.

    Returns: loss of the last batch before its update, a scalar of the backend.

    Raises: NonFiniteLoss at the first batch with NaN, on the host.
    """
    walk = batches(images, labels, batch_size, order, model.input_dtype, tools.augment, step)
    for number, (x, targets) in enumerate(walk, start=step):
        if tools.schedule:
            optimizer.lr = tools.schedule(number)
        try:
            loss = train_step(model, optimizer, x, targets, number, tools.label_smoothing, tools.max_norm)
        except FloatingPointError as error:
            epoch = number // math.ceil(len(images) / batch_size) + 1
            raise NonFiniteLoss(_advice("NaN", epoch, number)) from error
        if tools.average:
            tools.average.update()
    return loss


def train_step(model, optimizer, x, labels, step, label_smoothing=0.0, max_norm=None):
    """One update of the model by one batch: forward, loss, backward, optimiser.

    Arguments:
        x, labels: a batch on the model's backend.
        step: number of the update, selects the dropout masks.
        label_smoothing, max_norm: as in TrainingTools.

    Returns: loss before the update, a scalar of the backend.
    """
    log_probs, caches = model.forward(x, train=True, step=step)
    loss, dlog_probs = nll_loss(log_probs, labels, label_smoothing)
    _, grads = model.backward(dlog_probs, caches)
    if max_norm is not None:
        grads, _ = clip_grad_norm(grads, max_norm)
    optimizer.step(model.params, grads)
    return loss


def evaluate(model, images, labels, batch_size=1000):
    """Mean loss and number of right answers of a model in evaluation mode.

    Arguments: images (N, 28, 28) uint8, labels (N,), on the model's backend.

    Returns: loss (float), correct (int). A device is waited for once, at the end.
    """
    losses, correct = 0.0, 0
    for x, targets in batches(images, labels, batch_size, dtype=model.input_dtype):
        log_probs, _ = model.forward(x)
        loss, _ = nll_loss(log_probs, targets)
        losses = losses + loss * len(targets)
        correct = correct + (log_probs.argmax(axis=1) == targets).sum()
    return _to_float(model, losses) / len(images), int(model.backend.to_host(correct))


def at_chance(record, classes=10):
    """Whether the accuracy of an EvalRecord is no better than guessing (up to half as much again)."""
    return record.accuracy < 1.5 / classes


def _to_backend(backend, data_set):
    images, labels = data_set
    return backend.asarray(images), backend.asarray(labels, dtype="int64")


def _to_float(model, scalar):
    return float(model.backend.to_host(scalar))


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
