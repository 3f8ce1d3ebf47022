"""Where the time of a training step of the seed network goes, part by part, on one core.

    python scripts/step_parts.py                 with loops in C, where there is a C compiler
    SYNANN_C=0 python scripts/step_parts.py      without

Prints a table: median milliseconds of every part over the steps, forward and backward.
"""

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

from synann_np import fast
from synann_np.data import batches, load_mnist
from synann_np.losses import nll_loss
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.programs.broken_pipe import end_with_the_reader

BATCH, WARM_UP = 100, 20


class Clock:
    """Lists of milliseconds by part. A part that is called for in the middle of another is not counted twice."""

    def __init__(self):
        self.ms, self.inner = defaultdict(list), 0.0

    def around(self, part, function):
        """The same function, its calls timed."""

        def timed(*args, **kwargs):
            outer, self.inner = self.inner, 0.0
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = 1e3 * (time.perf_counter() - started)
                self.ms[part].append(spent - self.inner)
                self.inner = outer + spent

        return timed


def measure(steps):
    """(Clock, milliseconds a step) after some steps to warm up."""
    images, labels, *_ = load_mnist()
    labels = labels.astype("int64")
    model, optimizer, clock = fast.compile(SynaNN(), 1, input_gradient=False), SGD(0.012, 0.5), Clock()
    for block in model.by_rows:
        for way in ("forward", "backward"):
            setattr(block, way, clock.around(f"{block.name}, {way}", getattr(block, way)))
    for way in ("forward", "backward"):
        setattr(model.joint, way, clock.around(f"batch-norm to log-softmax, {way}", getattr(model.joint, way)))
        setattr(model, way, clock.around("between the parts", getattr(model, way)))
    loss = clock.around("loss and its gradient", nll_loss)
    update = clock.around("optimiser", optimizer.step)

    def step(number, batch):
        x, targets = batch
        log_probs, caches = model.forward(x, train=True, step=number)
        _, dlog_probs = loss(log_probs, targets)
        _, grads = model.backward(dlog_probs, caches)
        update(model.params, grads)

    order = np.random.default_rng(0).permutation(len(images))[: (WARM_UP + steps) * BATCH]
    whole = clock.around("choice of the images", lambda number: step(number, next(source)))
    source = batches(images, labels, BATCH, order, model.input_dtype)
    totals = []
    for number in range(len(order) // BATCH):
        if number == WARM_UP:
            clock.ms.clear()
        started = time.perf_counter()
        whole(number)
        totals.append(1e3 * (time.perf_counter() - started))
    return clock, float(np.median(totals[WARM_UP:]))


def table(clock, total):
    """Lines of Markdown."""
    yield "| part of a step | ms | |"
    yield "|---|---|---|"
    calls = len(clock.ms["optimiser"])
    medians = {part: float(np.median(ms)) * len(ms) / calls for part, ms in clock.ms.items()}
    for part, ms in sorted(medians.items(), key=lambda item: -item[1]):
        yield f"| {part} | {ms:.3f} | {ms / total:.0%} |"
    yield f"| the whole step | {total:.3f} | |"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500, help="to take the median of, at most 580 (500)")
    args = parser.parse_args(argv)
    if not 1 <= args.steps <= 580:
        parser.error(f"argument --steps: expected 1 to 580, got {args.steps}")
    print(f"C compiler: {fast.working_compiler()}")
    print("\n".join(table(*measure(args.steps))))
    return 0


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
