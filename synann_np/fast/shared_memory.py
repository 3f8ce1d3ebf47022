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

    def array(self, at, shape):
        """An array of the model's dtype at this byte."""
        return np.frombuffer(self.map, self.dtype, math.prod(shape), at).reshape(shape)


class Batch:
    """Arrays of a batch in the shared memory: x, y and their gradients dx, dy.

    x[rank] and dx[rank] (rows of the rank, ...) have the batch innermost in memory, as layers of images want it; y and
    dy (N, ...). Where one ends and the next begins follows from the sizes, which all ranks know.

    Attributes: rows[rank], a slice of the batch.

    Raises: ValueError if it does not fit.
    """

    def __init__(self, memory, N, x_row, y_row):
        ranks, at = memory.ranks, memory.batch_at
        self.rows = [slice(N * rank // ranks, N * (rank + 1) // ranks) for rank in range(ranks)]
        rowwise = [(*x_row, rows.stop - rows.start) for rows in self.rows]
        arrays = []
        for shape in [*rowwise, *rowwise, (N, *y_row), (N, *y_row)]:
            size = math.prod(shape) * memory.dtype.itemsize
            if at + size > memory.size:
                raise ValueError(f"{N} rows of shape {x_row} do not fit the shared memory")
            arrays.append(memory.array(at, shape))
            at += -(-size // 64) * 64
        images = [np.moveaxis(a, -1, 0) for a in arrays[:-2]]
        self.x, self.dx, self.y, self.dy = images[:ranks], images[ranks:], *arrays[-2:]


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
