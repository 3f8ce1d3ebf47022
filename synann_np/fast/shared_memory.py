"""Memory that the ranks (processes) of one model share, and how they wait for each other in it."""

import math
import mmap
import os
import time

import numpy as np

LEAVE, DESCRIBE, FORWARD, BACKWARD = range(4)  # what rank 0 may order

WORDS, LINE = 512, 8  # a line: words that one core can change without disturbing another
BATCH_BYTES = 2**28  # of address space: what no batch touches takes no memory

POLLS = 400  # about 20 µs, before the core is offered to others
SPIN_SECONDS = 0.05
LONGEST_NAP = 0.005


class Word:
    """Where the words of an order stand. Behind them a line for every rank but the first: done, failed."""

    ORDER, OPERATION, CALL, ROWS, STEP, TRAIN, DROPPED = range(7)
    DROPPED_CALLS = LINE  # numbers of calls whose caches may go
    MOST_DROPPED = 7 * LINE

    @staticmethod
    def done(rank):
        """Number of the last order that a rank has fulfilled; the word behind says whether an error came of it."""
        return LINE * (7 + rank)


MOST_RANKS = WORDS // LINE - 7


class SharedMemory:
    """An anonymous file in memory, mapped by every rank; nothing of it is left when the last of them is gone.

    It holds the words of an order, the parameters, a row of gradients for every rank, and what belongs to a batch.

    There are no locks: a rank writes its data first, then its word, and an x86 processor shows the stores of a core to
    the others in that order.

    Arguments: fd: of the file, None makes one. ranks, dtype: of the model. shapes: dict name -> shape of a parameter.
    Attributes: words; params and grads[rank], dicts of arrays.
    """

    def __init__(self, fd, ranks, dtype, shapes):
        self.ranks, self.dtype = ranks, np.dtype(dtype)
        places, floats = {}, 0
        for name, shape in shapes.items():
            places[name] = slice(floats, floats + math.prod(shape))
            floats += -(-math.prod(shape) // 16) * 16
        self.batch_at = 8 * WORDS + -(-(ranks + 1) * floats * self.dtype.itemsize // 4096) * 4096
        self.size = self.batch_at + BATCH_BYTES
        self.fd = os.memfd_create("synann_np") if fd is None else fd
        os.ftruncate(self.fd, self.size)
        self.map = mmap.mmap(self.fd, self.size)
        self.words = memoryview(self.map)[: 8 * WORDS].cast("q")
        flat = self.array(8 * WORDS, (ranks + 1, floats))
        views = [{name: row[place].reshape(shapes[name]) for name, place in places.items()} for row in flat]
        self.params, self.grads = views[0], views[1:]

    def array(self, at, shape, dtype=None):
        """An array, of the model's dtype unless another is given, at this byte."""
        return np.frombuffer(self.map, dtype or self.dtype, math.prod(shape), at).reshape(shape)


class Batch:
    """Arrays of a batch in the shared memory: x, y and their gradients dx, dy.

    x[rank] and dx[rank] (rows of the rank, ...), y and dy (N, ...). Numbers of x have the batch innermost in memory, as
    layers of images want it. Where one array ends and the next begins follows from the sizes, which all ranks know.

    Arguments: x_row, dx_row, y_row: shapes of a row. x_dtype: of the model, or uint8.
    Attributes: rows[rank], a slice of the batch.

    Raises: ValueError if it does not fit.
    """

    def __init__(self, memory, N, x_row, x_dtype, dx_row, y_row):
        self.memory, self.at, ranks = memory, memory.batch_at, memory.ranks
        self.rows = [slice(N * rank // ranks, N * (rank + 1) // ranks) for rank in range(ranks)]
        sizes = [rows.stop - rows.start for rows in self.rows]
        if np.dtype(x_dtype) == np.uint8:
            self.x = [self._take((n, *x_row), x_dtype) for n in sizes]
        else:
            self.x = [self._take_innermost(x_row, n) for n in sizes]
        self.dx = [self._take_innermost(dx_row, n) for n in sizes]
        self.y, self.dy = (self._take((N, *y_row), memory.dtype) for _ in range(2))

    def _take_innermost(self, row, n):
        return np.moveaxis(self._take((*row, n), self.memory.dtype), -1, 0)

    def _take(self, shape, dtype):
        begin, size = self.at, math.prod(shape) * np.dtype(dtype).itemsize
        self.at += -(-size // 64) * 64
        if self.at > self.memory.size:
            raise ValueError(f"an array of shape {shape} does not fit the shared memory")
        return self.memory.array(begin, shape, dtype)


def wait_until(words, at, value, alarm):
    """Return when words[at] has reached value. It spins: waking a sleeper takes longer than most waits here.

    Soon the core is offered to others at every look. After a long while it sleeps between the looks, and calls `alarm`,
    which raises or leaves if there is nobody to wait for.
    """
    for _ in range(POLLS):
        if words[at] >= value:
            return
    began, nap = time.monotonic(), 0.0002
    while words[at] < value:
        os.sched_yield()
        if time.monotonic() - began > SPIN_SECONDS:
            alarm()
            time.sleep(nap)
            nap = min(2 * nap, LONGEST_NAP)
