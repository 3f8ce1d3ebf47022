"""A model whose training steps and evaluation are the kernels', and all else the plain layers'."""

import math

import numpy as np

from ...optim import SGD
from ...train import train_steps
from ...training.evaluation import evaluate_by_batches
from ...training.tools import TrainingTools
from ..compiled import Compiled
from .announcement import print_to_stderr
from .arrays import PARAM_SIZE, parameter_views
from .evaluation import Evaluation
from .replay import Graphs
from .training import Training


class CudaModel(Compiled):
    """SynaNN over flat arrays: the layers' parameters and running statistics become views of them, with the same
    values, so that layers, kernels, optimiser and checkpoints all see the same numbers.

    forward and backward are the plain layers'. train_steps and evaluate, which `train.fit` asks for, are the kernels',
    for SGD; with another optimiser the plain layers do the work.

    Arguments:
        model: as is_synann tells; its layers are shared.
        launcher: Launcher of the model's dtype.
        announce: function of a line: what is slower than it could be, and why.
        again: as in Compiled.
    """

    def __init__(self, model, launcher, announce=print_to_stderr, again=None):
        super().__init__(list(model.layers.items()), model, again)
        xp, self.launcher, self.announce = model.backend.xp, launcher, announce
        self.graphs = Graphs(xp.cuda, announce)
        dtype, norm = launcher.dtype, self.layers["fcb"].buffers
        running = xp.zeros((2, norm["running_mean"].size), dtype)
        seeds = [self.layers[name].seed % 2**64 for name in ("conv2_drop", "fc1_drop")]
        flat, velocity = xp.zeros(PARAM_SIZE, dtype), xp.zeros(PARAM_SIZE, dtype)
        self.state = {"params": flat, "velocity": velocity, "running": running}
        self.state["seeds"] = model.backend.asarray(np.array(seeds, "uint64"))
        self.weights, self.velocities = parameter_views(flat), parameter_views(velocity)
        self.statistics = {"running_mean": running[0], "running_var": running[1]}
        self.adopt_model()
        self.training = self.evaluation = None  # each with the images that it was made for
        self.optimizer = None  # whose velocity lies in the kernels' array
        self.told = set()

    def train_steps(self, optimizer, images, labels, order, batch_size, step, schedule=None):
        """As train.train_steps with TrainingTools(schedule)."""
        if refusal := self.refusal(optimizer, images):
            self.tell_once(refusal)
            tools = TrainingTools(schedule=schedule)
            return train_steps(self, optimizer, images, labels, order, batch_size, step, tools)
        self.adopt_model()
        self.adopt_velocity(optimizer)
        if self.training is None or self.training[0] is not images or self.training[1] is not labels:
            self.training = None
        if self.training is None or self.training[2].sizes["T"] < len(order):
            capacity = max(len(images), len(order))
            made = Training(self.backend, self.launcher, self.graphs, self.state, images, labels, capacity)
            self.training = images, labels, made
        rates = None
        if schedule:
            rates = [schedule(step + i) for i in range(math.ceil(len(order) / batch_size))]
            optimizer.lr = rates[-1] if rates else optimizer.lr
        hyper = optimizer.lr, optimizer.momentum, optimizer.weight_decay, float(optimizer.nesterov)
        return self.training[2].run(hyper, order, batch_size, step, rates)

    def evaluate(self, images, labels, batch_size=1000):
        """As train.evaluate. batch_size is of no account."""
        if images.shape[1:] != (28, 28) or images.dtype != "uint8":
            return evaluate_by_batches(self, images, labels, batch_size)
        self.adopt_model()
        if self.evaluation is None or self.evaluation[0] is not images or self.evaluation[1] is not labels:
            self.evaluation = images, labels, Evaluation(self.backend, self.launcher, self.state, images, labels)
        return self.evaluation[2].run()

    def refusal(self, optimizer, images):
        """Why the kernels cannot do this optimiser's step on these images, or None."""
        if images.shape[1:] != (28, 28) or images.dtype != "uint8":
            return f"the CUDA kernels read uint8 images (N, 28, 28), not {images.dtype} {tuple(images.shape)}"
        if type(optimizer) is not SGD:
            return f"the CUDA kernels know SGD, not {type(optimizer).__name__}"
        if not getattr(optimizer, "decay_vectors", True) and optimizer.weight_decay:
            return "the CUDA kernels decay all parameters or none"
        if getattr(optimizer, "dampening", 0) or getattr(optimizer, "maximize", False):
            return "the CUDA kernels know no dampening and no maximize"
        if optimizer.velocity and not optimizer.momentum:
            return "the CUDA kernels would overwrite the velocity that SGD without momentum leaves alone"
        return None

    def tell_once(self, line):
        if line not in self.told:
            self.told.add(line)
            self.announce(f"The plain layers train: {line}")

    def adopt_model(self):
        """Make the layers' arrays those of the kernels. Nothing to do unless somebody put others in their place."""
        for name, view in self.weights.items():
            layer, _, key = name.partition(".")
            _adopt(self.layers[layer].params, key, view)
        for key, view in self.statistics.items():
            _adopt(self.layers["fcb"].buffers, key, view)

    def adopt_velocity(self, optimizer):
        """The same for SGD's velocity, which is 0 before the first step and a new array after a resume."""
        if self.optimizer is not None and self.optimizer is not optimizer:
            for name, v in self.optimizer.velocity.items():
                self.optimizer.velocity[name] = v.copy()
        self.optimizer = optimizer
        if not optimizer.momentum:
            return
        for name, view in self.velocities.items():
            if name not in optimizer.velocity:
                view[...] = 0
                optimizer.velocity[name] = view
            _adopt(optimizer.velocity, name, view)


def _adopt(arrays, key, view):
    if arrays[key] is not view:
        view[...] = arrays[key]
        arrays[key] = view
