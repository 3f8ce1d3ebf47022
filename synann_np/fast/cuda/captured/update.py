"""What ends a captured step: clipping, optimiser and average of the weights, by one or two kernels over flat arrays."""

import math

from ....arguments import number
from ....optim import SGD, Adam, AdamW
from ..kernels import NORM_BLOCKS, NUMBERS, RULES
from .flat_state import adopt


def refusal(optimizer):
    """Why the kernel cannot do this optimiser's step, or None."""
    if type(optimizer) not in (SGD, Adam, AdamW):
        return f"the update kernel knows SGD, Adam and AdamW, not {type(optimizer).__name__}"
    for option in ("dampening", "maximize", "amsgrad"):
        if getattr(optimizer, option, False):
            return f"the update kernel knows no {option}"
    return None


def states_of(optimizer):
    """The optimiser's dicts of arrays, in the order of the kernel's arguments."""
    if isinstance(optimizer, Adam):
        return [optimizer.mean, optimizer.mean_square]
    return [optimizer.velocity] if optimizer.momentum else []


class Update:
    """Takes the place of the optimiser in a plain step; `step` does what optimiser, clipping and average would do.

    The arrays of the optimiser and of the average become views of flat ones, with the same values. Their counters
    (Adam's steps, the average's updates) are moved by the host.

    Arguments:
        flat: FlatState. optimizer: one that `refusal` lets pass.
        tools: TrainingTools; its schedule, max_norm and average are used.
        numbers: StepNumbers without a column: the kernel reads the first ones.
        launcher: Launcher of the dtype of flat.
    """

    def __init__(self, flat, optimizer, tools, numbers, launcher):
        self.flat, self.optimizer, self.tools, self.first = flat, optimizer, tools, 0
        xp, P = flat.model.backend.xp, flat.params_size
        states = states_of(optimizer)
        self.states = [xp.zeros(P if k < len(states) else 1, flat.dtype) for k in range(2)]
        self.average = xp.zeros(flat.size if tools.average else 1, flat.dtype)
        self.views = [flat.views_of(a, flat.grad_views) for a, _ in zip(self.states, states, strict=False)]
        self.average_views = flat.views_of(self.average) if tools.average else {}
        for name in NUMBERS:
            numbers.column(name, flat.dtype, getattr(self, name))
        arrays = {
            "grads": flat.grads, "norms": xp.zeros((min(NORM_BLOCKS, -(-P // 1024)), 2), flat.dtype),
            "numbers": numbers.row, "is_matrix": flat.is_matrix, "values": flat.values,
            "first": self.states[0], "second": self.states[1], "average": self.average,
        }  # fmt: skip
        sizes = {
            "P": P, "S": flat.size, "H": len(arrays["norms"]), "W": numbers.row.shape[1], "A": len(self.average),
            "P1": len(self.states[0]), "P2": len(self.states[1]), "rules": self.rules(),
        }  # fmt: skip
        arrays = {f"update.{name}": a for name, a in arrays.items()}
        kernels = ["gradient_norm"] * (tools.max_norm is not None) + ["update"]
        self.launches = [launcher.bind(kernel, sizes, arrays) for kernel in kernels]
        self.adopt()

    def rules(self):
        """What the kernel is to do, as bits."""
        o, tools = self.optimizer, self.tools
        is_adam = isinstance(o, Adam)
        on = {
            "ADAM": is_adam, "MOMENTUM": not is_adam and o.momentum, "NESTEROV": not is_adam and o.nesterov,
            "DECAY_VECTORS": o.decay_vectors, "CLIP": tools.max_norm is not None, "AVERAGE": tools.average is not None,
        }  # fmt: skip
        return sum(RULES[name] for name, value in on.items() if value)

    def adopt(self):
        """Make the arrays of optimiser and average those of this object; what is missing starts at 0."""
        for arrays, views in zip(states_of(self.optimizer), self.views, strict=True):
            for name, view in views.items():
                if name not in arrays:
                    view[...] = 0
                    arrays[name] = view
                adopt(arrays, name, view)
        for name, view in self.average_views.items():
            adopt(self.tools.average.arrays, name, view)

    def begin(self, first):
        """The next steps are those from `first` on."""
        self.first = first
        self.adopt()

    def step(self, params, grads):
        """As an optimiser's."""
        for name, view in self.flat.grad_views.items():
            view[...] = grads[name]
        for launch in self.launches:
            launch()

    def finish(self, count):
        """`count` steps are done: move what the host counts."""
        if count:
            self.optimizer.lr = self.lr(self.first + count - 1)
        if isinstance(self.optimizer, Adam):
            self.optimizer.steps += count
        if self.tools.average:
            self.tools.average.updates += count

    # The numbers of a step, see NUMBERS. They are those that optim.py and weight_average.py compute.

    def lr(self, step):
        lr = self.tools.schedule(step) if self.tools.schedule else self.optimizer.lr
        return number(type(self.optimizer).__name__, "lr", lr)

    def rate(self, step):
        return self.lr(step) / (1 - self.beta1(step) ** self.adam_step(step)) if self.is_adam else self.lr(step)

    def root(self, step):
        return math.sqrt(1 - self.beta2(step) ** self.adam_step(step)) if self.is_adam else 1

    def weight_decay(self, step):
        return 0 if type(self.optimizer) is AdamW else self.optimizer.weight_decay

    def shrink(self, step):
        return 1 - self.lr(step) * self.optimizer.weight_decay if type(self.optimizer) is AdamW else 1

    def beta1(self, step):
        return self.optimizer.betas[0] if self.is_adam else self.optimizer.momentum

    def gain1(self, step):
        return 1 - self.beta1(step)

    def beta2(self, step):
        return self.optimizer.betas[1] if self.is_adam else 0

    def gain2(self, step):
        return 1 - self.beta2(step)

    def eps(self, step):
        return self.optimizer.eps if self.is_adam else 0

    def max_norm(self, step):
        return self.tools.max_norm or 0

    def average_gain(self, step):
        average = self.tools.average
        if average is None:
            return 0
        t = average.updates + step - self.first
        return 1 - min(average.decay, (1 + t) / (10 + t))

    @property
    def is_adam(self):
        """Adam or AdamW."""
        return isinstance(self.optimizer, Adam)

    def adam_step(self, step):
        """t = 1, 2, ... of Adam in a step."""
        return self.optimizer.steps + step - self.first + 1
