"""Our side of the benchmark: the plain layers and the fast path."""

import numpy as np
import threadpoolctl

from benchmarks.cases import LAYER_INPUTS, layer_arrays, synapse_arrays
from synann_np import fast, layers
from synann_np.data import batches, load_mnist
from synann_np.fast.blocks import ConvPoolReluBlock
from synann_np.fast.fuse import fast_synapse
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.train import evaluate, train_step


class NumpyPeer:
    """Work as functions without arguments, and results to compare. fast_path=False: the plain layers."""

    def __init__(self, fast_path, threads):
        self.fast_path, self.threads = fast_path, threads
        if fast_path:
            fast.keep_freed_memory()

    def network(self, dropout=True):
        model = SynaNN()
        if not dropout:
            for layer in (model.layers["conv2_drop"], model.layers["fc1_drop"]):
                layer.p, layer.scale = 0.0, 1.0
        return fast.compile(model, self.threads, input_gradient=False) if self.fast_path else model

    def step(self, batch_size, dropout=True):
        """A whole training step: gather a batch of uint8 images, normalise, forward, backward, update."""
        images, labels, *_ = load_mnist()
        labels, model, optimizer = labels.astype("int64"), self.network(dropout), SGD(0.012, 0.5)
        order = np.random.default_rng(0).permutation(len(images))
        steps = enumerate(_forever(lambda: batches(images, labels, batch_size, order, model.input_dtype)))

        def work():
            step, (x, targets) = next(steps)
            return train_step(model, optimizer, x, targets, step)

        return work

    def evaluation(self):
        _, _, images, labels = load_mnist()
        labels, model = labels.astype("int64"), self.network()
        return lambda: evaluate(model, images, labels)[0]

    def layer(self, name):
        """Forward and backward of one layer of the network, batch 100."""
        self._give_blas_all_threads()
        in_c = self.fast_path and fast.working_compiler() is not None
        x, dy = layer_arrays(name, batch_innermost=not in_c)
        arguments = LAYER_INPUTS[name].arguments
        if self.fast_path and name.startswith("conv"):
            conv = layers.Conv2d(*arguments, rng=np.random.default_rng(5))
            layer = ConvPoolReluBlock(name, conv, dropout=None, input_gradient=True).fastest(x)
        elif name.startswith("conv"):
            rng = np.random.default_rng(5)
            layer = _Chain(layers.Conv2d(*arguments, rng=rng), layers.MaxPool2d(2), layers.ReLU())
        else:
            cls = getattr(layers, LAYER_INPUTS[name].layer)
            weights = {"rng": np.random.default_rng(5)} if arguments else {}
            layer = cls(*arguments, **weights)
            if self.fast_path and name == "synapse":
                layer = fast_synapse(layer, self.threads)

        def work():
            y, cache = layer.forward(x) if self.fast_path and name.startswith("conv") else layer.forward(x, True)
            dx, grads = layer.backward(dy, cache)
            return float(np.abs(y).mean() + np.abs(dx).mean() + sum(np.abs(g).mean() for g in grads.values()))

        return work

    def synapse(self, n, kind):
        """Forward and backward of a synapse layer, batch 128."""
        self._give_blas_all_threads()
        x, beta, dy = synapse_arrays(n, kind)
        layer = layers.Synapse(n)
        layer.params["beta"][...] = beta
        layer = fast_synapse(layer, self.threads) if self.fast_path else layer

        def work():
            y, cache = layer.forward(x)
            dx, grads = layer.backward(dy, cache)
            return float(np.abs(y).mean() + np.abs(dx).mean() + np.abs(grads["beta"]).mean())

        return work

    def _give_blas_all_threads(self):
        """A compiled network may have taken them, for processes of one thread each."""
        threadpoolctl.threadpool_limits(self.threads, user_api="blas")


class _Chain:
    def __init__(self, *chain):
        self.chain = chain

    def forward(self, x, train):
        caches = []
        for layer in self.chain:
            x, cache = layer.forward(x, train)
            caches.append(cache)
        return x, caches

    def backward(self, dy, caches):
        grads = {}
        for layer, cache in zip(reversed(self.chain), reversed(caches), strict=True):
            dy, layer_grads = layer.backward(dy, cache)
            grads |= layer_grads
        return dy, grads


def _forever(iterable):
    while True:
        yield from iterable()
