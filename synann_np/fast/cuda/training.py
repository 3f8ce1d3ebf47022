"""Training steps on a device, none of which the host waits for: the arrays, the launches, the graphs."""

import numpy as np

from .arrays import shape_of, step_sizes
from .kernels import TRAIN

STEPS_PER_GRAPH = 20
LOSSES = 1024  # of the last steps, kept on the device


class Training:
    """Steps over one set of images, which stay on the device as bytes.

    The host says which images come next and with which learning rate; gather, normalisation, masks, loss and update
    are the kernels', which count the steps themselves. So a step is the same launches on the same addresses every time,
    and many steps are one CUDA graph.

    Arguments:
        backend: where everything lives.
        launcher: Launcher.
        graphs: Graphs.
        state: dict of the arrays params, velocity, running and seeds (arrays.py), shared with the model.
        images (M, 28, 28) uint8, labels (M,), integers in 0..9: on the backend. Labels are checked here, for which the
            device is waited for once.
        capacity: the most indices that `run` will get at once.

    Raises: ValueError if images or labels have another shape or dtype, or a label is not in 0..9.
    """

    def __init__(self, backend, launcher, graphs, state, images, labels, capacity):
        if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype != "uint8":
            raise ValueError(f"Training: expected uint8 images (M, 28, 28), got {images.dtype} {tuple(images.shape)}")
        check_labels(backend, labels, len(images))
        self.backend, self.launcher, self.graphs = backend, launcher, graphs
        self.sizes = {"M": len(images), "T": capacity, "L": LOSSES}
        self.arrays = state | {"images": images.reshape(len(images), 784), "labels": labels.astype("uint8")}
        self.arrays |= {name: self.empty(name, self.sizes) for name in ("order", "counter", "hyper", "losses")}
        self.hyper = None
        self.programs = {}

    def run(self, hyper, order, batch_size, step, rates=None):
        """One update by every batch of order.

        Arguments:
            hyper: (lr, momentum, weight_decay, nesterov), numbers.
            order: indices, on the device. They are copied, so they need not outlive the call.
            batch_size: the last batch may be smaller.
            step: number of the first update.
            rates: learning rate of every step, if they differ. Then there is a graph for a step, and a launch between
                two of them; otherwise a graph for many steps.

        Returns: loss of the last batch before its update, a scalar of the backend.

        Raises: ValueError for a batch of one image, of which batch-norm can take no variance.
        """
        full, rest = divmod(len(order), batch_size)
        if rest == 1 or (full and batch_size == 1):
            raise ValueError("Training: batch-norm needs more than one image in a batch; choose another batch size")
        if hyper != self.hyper:
            self.arrays["hyper"][...] = self.backend.asarray(np.array(hyper), self.launcher.dtype)
            self.hyper = hyper
        self.arrays["order"][: len(order)] = order
        self.arrays["counter"][0] = step
        self.arrays["counter"][1] = 0
        parts = [(batch_size, full)] * (full > 0) + [(rest, 1)] * (rest > 0)
        if rates is None:
            for N, count in parts:
                self.repeat(N, count)
        else:
            self.hyper = None
            for N, rate in zip((N for N, count in parts for _ in range(count)), rates, strict=True):
                self.arrays["hyper"][0] = rate
                self.repeat(N, 1)
        return self.arrays["losses"][(step + full + bool(rest) - 1) % LOSSES].copy()

    def repeat(self, N, count):
        """`count` steps of N rows each."""
        if N not in self.programs:
            self.programs[N] = self.program(N)
        many, one = self.programs[N]
        for _ in range(count // STEPS_PER_GRAPH):
            many()
        for _ in range(count % STEPS_PER_GRAPH):
            one()

    def program(self, N):
        """Two functions without arguments: STEPS_PER_GRAPH steps of N rows, and one step. They share their arrays."""
        sizes = self.sizes | step_sizes(N, **self.sizes)
        names = self.launcher.array_names(TRAIN)
        arrays = self.arrays | {name: self.empty(name, sizes) for name in names if name not in self.arrays}
        launches = [self.launcher.bind(kernel, sizes, arrays) for kernel in TRAIN]

        def one():
            for launch in launches:
                launch()

        def many():
            for _ in range(STEPS_PER_GRAPH):
                one()

        return self.graphs.replayed(many), self.graphs.replayed(one)

    def empty(self, name, sizes):
        return self.backend.xp.zeros(shape_of(name, sizes), self.launcher.numpy_dtype(name))


def check_labels(backend, labels, count):
    """Raises: ValueError unless labels are `count` integers in 0..9. The device is waited for."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(f"expected {count} integer labels, got {labels.dtype} {tuple(labels.shape)}")
    low, high = (int(backend.to_host(a)) for a in (labels.min(), labels.max()))
    if low < 0 or high > 9:
        raise ValueError(f"expected labels in 0..9, got {low}..{high}")
