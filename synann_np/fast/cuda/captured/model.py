"""A model that is trained by captured steps."""

from operator import matmul

from ....losses import nll_loss
from ....train import train_steps
from ....training.tools import PLAIN
from ...compiled import Compiled
from ..announcement import print_to_stderr
from ..replay import Graphs
from .program import Workshop
from .training import Capturing, NotCaptured


class CapturedModel(Compiled):
    """A Sequential whose training steps, which `train.fit` asks for, are CUDA graphs.

    Arguments:
        layers, plain, again: as in Compiled.
        launcher: Launcher of the model's dtype.
        announce: function of a line: what is slower than it could be, and why.
        product: function for product.computed_by, one that can be captured; CuPy's own cannot.
    """

    def __init__(self, layers, plain, launcher, announce=print_to_stderr, again=None, product=matmul):
        super().__init__(layers, plain, again)
        self.launcher, self.announce, self.told = launcher, announce, set()
        self.graphs = Graphs(self.backend.xp.cuda, announce)
        self.capturing = Capturing(Workshop(self.graphs, product), launcher, self)

    def train_steps(
        self, optimizer, images, labels, order, batch_size, step, tools=PLAIN, loss=nll_loss, weights=None
    ):  # fmt: skip
        """As train.train_steps."""
        done = 0
        refusal = self.capturing.refusal(optimizer, order)
        if refusal is None:
            try:
                return self.capturing.run(optimizer, images, labels, order, batch_size, step, tools, loss, weights)
            except NotCaptured as end:
                (done,), error = end.args, end.__cause__
                self.capturing.refused = refusal = " ".join(f"{type(error).__name__}: {error}".split())
        self.tell_once(f"The plain layers train: {refusal}")
        rest = order[done * batch_size :]
        return train_steps(self, optimizer, images, labels, rest, batch_size, step + done, tools, loss, weights)

    def tell_once(self, line):
        """Announce a line, unless it was before."""
        if line not in self.told:
            self.told.add(line)
            self.announce(line)
