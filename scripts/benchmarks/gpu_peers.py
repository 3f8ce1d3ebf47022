"""Our side of the benchmark on a GPU: the plain layers on CuPy, and the fast path."""

import itertools

import numpy as np

from benchmarks.gpu_cases import STEPS, check_synapse, gpu_synapse_arrays
from synann_np import fast, layers
from synann_np.backend import get_backend
from synann_np.data import epoch_permutation, load_mnist, split_validation
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.sequential import Sequential
from synann_np.train import EvalRecord, fit, train_steps


class GpuPeer:
    """Work as functions without arguments.

    The pool of the device's memory is empty at the start of a call, so what is timed is done once before, if it is
    short, or the first step of it.

    Arguments: fast_path: compiled. backend, compile: for tests without a GPU.
    """

    def __init__(self, fast_path, backend="cupy", compile=fast.compile):
        self.fast_path, self.backend, self.compile = fast_path, get_backend(backend), compile
        self.cuda = self.backend.xp.cuda

    def device(self):
        """dict: what the GPU is, and what its rates follow from."""
        device = self.cuda.Device()
        return {
            "device": self.cuda.runtime.getDeviceProperties(device.id)["name"].decode(),
            "compute_capability": int(device.compute_capability) / 10,
            "multiprocessors": device.attributes["MultiProcessorCount"],
            "clock_khz": device.attributes["ClockRate"],
            "cuda_driver": self.cuda.runtime.driverGetVersion(),
            "cuda_runtime": self.cuda.runtime.runtimeGetVersion(),
        }

    def free_memory(self):
        """Hand back what is not in use: other peers share the device."""
        self.backend.xp.get_default_memory_pool().free_all_blocks()

    def network(self, dropout=True):
        model = SynaNN(backend=self.backend)
        if not dropout:
            for layer in (model.layers["conv2_drop"], model.layers["fc1_drop"]):
                layer.p, layer.scale = 0.0, 1.0
        return self.compile(model) if self.fast_path else model

    def trainer(self, dropout=True):
        """Order of an epoch, function: part of it, batch size, number of the first step -> loss on the device."""
        images, labels = (self.backend.asarray(a) for a in load_mnist()[:2])
        labels, model, optimizer = labels.astype("int64"), self.network(dropout), SGD(0.012, 0.5)
        order = self.backend.asarray(epoch_permutation(len(images), 5, 1))
        if self.fast_path and dropout:
            return order, lambda *which: model.train_steps(optimizer, images, labels, *which)
        return order, lambda *which: train_steps(model, optimizer, images, labels, *which)

    def losses(self, batch_size, dropout):
        """A call: a step -> its loss. With dropout, the fast path and the plain layers have the same masks."""
        order, train = self.trainer(dropout)
        starts, numbers = itertools.cycle(range(0, len(order) - batch_size + 1, batch_size)), itertools.count()

        def work():
            i = next(starts)
            return self.backend.to_host(train(order[i : i + batch_size], batch_size, next(numbers)))

        return work

    def steps(self, batch_size):
        """A call: at least STEPS steps, none of them waited for -> µs a step by the device's clock."""
        order, train = self.trainer()
        count = min(STEPS, len(order) // batch_size)  # of full batches
        turns, numbers = -(-STEPS // count), itertools.count()

        def many():
            for _ in range(turns):
                train(order[: count * batch_size], batch_size, next(numbers) * count)

        def microseconds():
            train(order[:batch_size], batch_size, 0)
            return 1e3 * self.milliseconds(many) / (turns * count)

        return microseconds

    def epoch(self, batch_size):
        """A call: an epoch of training, the loss read every 100 batches -> seconds by the device's clock."""
        order, train = self.trainer()
        batches, size, numbers = -(-len(order) // batch_size), 100 * batch_size, itertools.count()

        def epoch():
            step = next(numbers) * batches
            for i in range(0, len(order), size):
                self.backend.to_host(train(order[i : i + size], batch_size, step + i // batch_size))

        def seconds():
            train(order[:batch_size], batch_size, 0)
            return self.milliseconds(epoch) / 1e3

        return seconds

    def until(self, accuracy, most_epochs, batch_size, lr, momentum, validation=False):
        """A call: training and evaluation from the start until that accuracy -> epochs that it took, or NaN.

        validation: evaluated on 5000 images that are not trained with, in the place of the test images.
        """
        data = load_mnist()
        sets = split_validation(*data[:2], min(5000, len(data[0]) // 10)) if validation else (data[:2], data[2:])

        def work():
            run = fit(self.network(), SGD(lr, momentum), *sets, most_epochs, batch_size=batch_size)
            reached = (r.epoch for r in run if isinstance(r, EvalRecord) and r.correct >= accuracy * r.total)
            return next(reached, np.nan)

        return work

    def synapse(self, n, backward=True):
        """A call: forward, and backward, of a synapse layer -> ms by the device's clock."""
        x, beta, dy = (self.backend.asarray(a) for a in gpu_synapse_arrays(n))
        layer = layers.Synapse(n, backend=self.backend)
        layer.params["beta"][...] = beta
        model = Sequential([("fcn", layer)], "float32", self.backend)
        model = self.compile(model) if self.fast_path else model
        y, caches = model.forward(x)
        dx, grads = model.backward(dy, caches)
        check_synapse(n, *(self.backend.to_host(a) for a in (y, dx, grads["fcn.beta"])))
        del y, caches, dx, grads

        def work():
            _, caches = model.forward(x)
            if backward:
                model.backward(dy, caches)

        def milliseconds():
            work()
            return self.milliseconds(work)

        return milliseconds

    def milliseconds(self, work):
        start, end = self.cuda.Event(), self.cuda.Event()
        start.record()
        work()
        end.record()
        end.synchronize()
        return self.cuda.get_elapsed_time(start, end)
