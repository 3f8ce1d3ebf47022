"""A model whose training steps and evaluation are the kernels', and all else the plain layers'."""

import math
from dataclasses import replace
from operator import matmul

import numpy as np

from ...losses import nll_loss
from ...optim import SGD
from ...training.evaluation import evaluate_by_batches
from ...training.tools import PLAIN
from .announcement import print_to_stderr
from .arrays import HIDDEN, PARAM_SIZE, PARAMETERS, parameter_views
from .captured.flat_state import FlatState, adopt
from .captured.model import CapturedModel
from .evaluation import Evaluation
from .training import Training

# Of fcb, after the parameters: name -> (offset, shape).
STATISTICS = {f"fcb.running_{name}": (PARAM_SIZE + k * HIDDEN, (HIDDEN,)) for k, name in enumerate(("mean", "var"))}


class CudaModel(CapturedModel):
    """SynaNN over flat arrays: the layers' parameters and running statistics become views of them, with the same
    values, so that layers, kernels, optimiser and checkpoints all see the same numbers.

    forward and backward are the layers'. train_steps and evaluate, which `train.fit` asks for, are the kernels',
    for SGD and a schedule; with another optimiser or other tools the layers' steps are captured.

    Arguments:
        layers: of the model, or their twins, with the same arrays. model: as is_synann tells.
        launcher, announce, again, product: as in CapturedModel.
    """

    def __init__(self, layers, model, launcher, announce=print_to_stderr, again=None, product=matmul):
        super().__init__(layers, model, launcher, announce, again, product)
        xp, dtype = model.backend.xp, launcher.dtype
        self.flat = self.capturing.flat = FlatState(self, dtype, PARAMETERS | STATISTICS)
        seeds = [self.layers[name].seed % 2**64 for name in ("conv2_drop", "fc1_drop")]
        self.state = {
            "params": self.flat.values[:PARAM_SIZE], "running": self.flat.values[PARAM_SIZE:].reshape(2, HIDDEN),
            "velocity": xp.zeros(PARAM_SIZE, dtype), "seeds": model.backend.asarray(np.array(seeds, "uint64")),
        }  # fmt: skip
        self.velocities = parameter_views(self.state["velocity"])
        self.training = self.evaluation = None  # each with the images that it was made for
        self.optimizer = None  # whose velocity lies in the kernels' array

    def train_steps(
        self, optimizer, images, labels, order, batch_size, step, tools=PLAIN, loss=nll_loss, weights=None
    ):  # fmt: skip
        """As train.train_steps."""
        if refusal := self.refusal(optimizer, images, tools, loss, weights):
            self.tell_once(f"Captured layers train, not the four kernels: {refusal}")
            self.optimizer = None  # its velocity may become another array
            return super().train_steps(
                optimizer, images, labels, order, batch_size, step, tools, loss, weights
            )  # fmt: skip
        self.flat.adopt()
        self.adopt_velocity(optimizer)
        if self.training is None or self.training[0] is not images or self.training[1] is not labels:
            self.training = None
        if self.training is None or self.training[2].sizes["T"] < len(order):
            capacity = max(len(images), len(order))
            made = Training(self.backend, self.launcher, self.graphs, self.state, images, labels, capacity)
            self.training = images, labels, made
        rates = None
        if tools.schedule:
            rates = [tools.schedule(step + i) for i in range(math.ceil(len(order) / batch_size))]
            optimizer.lr = rates[-1] if rates else optimizer.lr
        hyper = optimizer.lr, optimizer.momentum, optimizer.weight_decay, float(optimizer.nesterov)
        return self.training[2].run(hyper, order, batch_size, step, rates)

    def evaluate(self, images, labels, batch_size=1000):
        """As train.evaluate. batch_size is of no account."""
        if images.shape[1:] != (28, 28) or images.dtype != "uint8":
            return evaluate_by_batches(self, images, labels, batch_size)
        self.flat.adopt()
        if self.evaluation is None or self.evaluation[0] is not images or self.evaluation[1] is not labels:
            self.evaluation = images, labels, Evaluation(self.backend, self.launcher, self.state, images, labels)
        return self.evaluation[2].run()

    def refusal(self, optimizer, images, tools, loss, weights):
        """Why the kernels cannot do these steps, or None."""
        if loss is not nll_loss or weights is not None or replace(tools, schedule=None) != PLAIN:
            return "the CUDA kernels know no training tools but schedules, and no other loss"
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
            adopt(optimizer.velocity, name, view)
