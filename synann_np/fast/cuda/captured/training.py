"""Training steps of any network with any tools: the plain step of train.py, captured as a CUDA graph."""

import math
from dataclasses import replace
from functools import partial

from ....train import train_steps
from .flat_state import FlatState, NotFlat
from .loss import with_loss_kernels
from .program import Program
from .step_numbers import StepNumber, StepNumbers
from .update import Update, refusal


class NotCaptured(Exception):
    """A step cannot be taken this way. Its argument: how many were taken before. Everything is as after these."""


class CapturedTraining:
    """The steps of a model with one optimiser, one set of tools and one training set.

    A step is train.train_steps of one batch, with three things in the place of others: rows of the batch that the
    device looks up, a StepNumber instead of an int, and an Update instead of the optimiser. Nothing in it depends on
    the host, so it is captured once for every size of batch, and for every answer that the tools get when they compare
    the number of the step.

    Arguments:
        workshop: Workshop. launcher: Launcher of the model's dtype. model: Sequential. flat: its FlatState.
        optimizer, images, labels, batch_size, tools, loss, weights: as in train.train_steps.
    """

    def __init__(self, workshop, launcher, model, flat, optimizer, images, labels, batch_size, tools, loss, weights):
        xp = model.backend.xp
        self.workshop, self.model, self.flat = workshop, model, flat
        self.order = xp.zeros(len(images), "int64")
        self.numbers = StepNumbers(model.backend, math.ceil(len(images) / batch_size))
        self.update = Update(flat, optimizer, tools, self.numbers, launcher)
        self.start = self.numbers.column("start", "int64", lambda step: (step - self.update.first) * batch_size)
        model, loss = with_loss_kernels(model, loss, launcher)
        loss = with_weights_on_device(loss, model.backend)
        self.loss, self.batch_size = xp.zeros((), flat.dtype), batch_size
        tools = replace(tools, schedule=None, max_norm=None, average=None)
        self.plain_step = lambda rows, step: train_steps(
            model, self.update, images, labels, rows, len(rows), step, tools, loss, weights
        )
        self.programs = []  # (rows of a batch, StepNumber, Program)

    def run(self, order, step):
        """One update by every batch of order. Arguments: as of train.train_steps. Returns: the loss of the last.

        Raises: NotCaptured.
        """
        self.flat.adopt()
        self.update.begin(step)
        self.order[: len(order)] = order
        count = math.ceil(len(order) / self.batch_size)
        self.numbers.begin(step, count)
        for done in range(count):
            if not self.numbers.is_complete:  # the step before has found a number that changes
                self.numbers.begin(step + done, count - done)
            self.numbers.present = step + done
            program = self.program(min(self.batch_size, len(order) - done * self.batch_size), step + done)
            if not program.is_warm:
                kept = self.flat.values.copy()
            try:
                program()
            except Exception as error:
                if program.is_warm:
                    raise
                self.flat.values[...] = kept  # the step may have moved buffers
                self.update.finish(done)
                raise NotCaptured(done) from error
        self.update.finish(count)
        return self.loss.copy()

    def program(self, N, step):
        """The program for a batch of N rows in this step."""
        for rows, number, program in self.programs:
            if rows == N and number.holds(step):
                return program
        number, places = StepNumber(self.numbers, step), self.model.backend.xp.arange(N)

        def work():
            self.numbers.advance()
            self.loss[...] = self.plain_step(self.order.take(places + self.start), number)

        program = Program(self.workshop, work)
        self.programs.append((N, number, program))
        return program


class Capturing:
    """Trains a model by captured steps, and says why where it cannot.

    Arguments: workshop, launcher, model: as above.
    """

    def __init__(self, workshop, launcher, model):
        self.workshop, self.launcher, self.model = workshop, launcher, model
        self.flat = self.key = self.training = self.refused = None

    def refusal(self, optimizer, order):
        """Why these steps cannot be captured, or None."""
        if self.refused or not len(order):
            return self.refused or "there are no steps"
        try:
            self.flat = self.flat or FlatState(self.model, self.launcher.dtype)
        except NotFlat as error:
            return str(error)
        return refusal(optimizer)

    def run(self, optimizer, images, labels, order, batch_size, step, tools, loss, weights):
        """As train.train_steps, without the model, for what `refusal` lets pass."""
        key = (optimizer, rules_of(optimizer), images, labels, batch_size, tools, loss, weights)
        if self.training is None or not same(self.key, key) or len(order) > len(self.training.order):
            arguments = (optimizer, images, labels, batch_size, tools, loss, weights)
            self.key = key
            self.training = CapturedTraining(self.workshop, self.launcher, self.model, self.flat, *arguments)
        return self.training.run(order, step)


def with_weights_on_device(loss, backend):
    """The loss with its class weights on the device: it would copy them from the host in every step."""
    weights = getattr(loss, "keywords", {}).get("class_weights")
    return loss if weights is None else partial(loss, class_weights=backend.asarray(weights))


def rules_of(optimizer):
    """What of an optimiser is in the launches; its numbers are on the device."""
    return tuple(bool(getattr(optimizer, name, False)) for name in ("momentum", "nesterov", "decay_vectors"))


def same(key, other):
    """Whether two keys hold the same objects, or equal numbers."""
    return all(a is b or (isinstance(a, int | tuple) and a == b) for a, b in zip(key, other, strict=True))
