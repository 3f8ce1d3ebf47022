"""Our side of the benchmark on a CPU, through the public interface: fast.compile and a training step."""

import numpy as np

from benchmarks.cases import (
    BATCH,
    EVALUATION_BATCH,
    LEARNING_RATE,
    MOMENTUM,
    comparison_batch,
    epoch_order,
    make_network,
    synapse_arrays,
)
from synann_np import fast
from synann_np.data import batches, load_mnist
from synann_np.layers import Synapse
from synann_np.losses import nll_loss
from synann_np.optim import SGD
from synann_np.sequential import Sequential
from synann_np.train import evaluate, train_step


def prepare(threads):
    """What a script of this package does before it trains."""
    if hasattr(fast, "tune_process"):
        fast.tune_process()


class Network:
    """Work on one of the networks. step and evaluation return a function of one call."""

    def __init__(self, name, threads):
        self.name, self.threads = name, threads

    def make(self, dropout=True):
        return fast.compile(make_network(self.name, dropout), self.threads, input_gradient=False)

    def values(self):
        """Log-probabilities, in training and in evaluation, and gradients, without dropout."""
        images, labels = comparison_batch()
        model = self.make(dropout=False)
        x, labels = next(batches(images, labels, BATCH, dtype=model.input_dtype))
        evaluated, _ = model.forward(x)
        evaluated = evaluated.copy()
        log_probs, caches = model.forward(x, train=True)
        _, dlog_probs = nll_loss(log_probs, labels)
        _, grads = model.backward(dlog_probs, caches)
        return {"log_probs": log_probs, "log_probs in evaluation": evaluated} | grads

    def step(self):
        """Choice and normalisation of a batch, forward, loss, backward, update."""
        images, labels, *_ = load_mnist()
        labels, model, optimizer = labels.astype("int64"), self.make(), SGD(LEARNING_RATE, MOMENTUM)
        order = epoch_order(len(images))
        steps = enumerate(_forever(lambda: batches(images, labels, BATCH, order, model.input_dtype)))

        def work():
            step, (x, targets) = next(steps)
            train_step(model, optimizer, x, targets, step)

        return work

    def evaluation(self):
        """Mean loss and number of right answers of the 10,000 test images."""
        _, _, images, labels = load_mnist()
        labels, model = labels.astype("int64"), self.make()
        return lambda: evaluate(model, images, labels, EVALUATION_BATCH)


class SynapseLayer:
    """The synapse layer alone, batch 128."""

    def __init__(self, n, threads):
        layer = Synapse(n, rng=np.random.default_rng(5))
        self.x, layer.params["beta"], self.dy = synapse_arrays(n)
        self.model = fast.compile(Sequential([("synapse", layer)]), threads)

    def values(self):
        y, caches = self.model.forward(self.x, train=True)
        dx, grads = self.model.backward(self.dy, caches)
        return {"y": y, "dx": dx} | {key.removeprefix("synapse."): g for key, g in grads.items()}

    def step(self):
        """Forward and backward."""

        def work():
            _, caches = self.model.forward(self.x, train=True)
            self.model.backward(self.dy, caches)

        return work


def _forever(iterable):
    while True:
        yield from iterable()
