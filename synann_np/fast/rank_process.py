"""What runs in every process of a model but the first: wait for an order, fulfil it for the own rows, say so."""

import os
import pickle
import sys
import traceback

import numpy as np

from ..backend import get_backend
from .blocked import backward_by_rows, forward_by_rows
from .fuse import fuse
from .memory import keep_freed_memory
from .pixels import are_pixels
from .shared_memory import BACKWARD, DESCRIBE, FORWARD, LEAVE, Batch, SharedMemory, Word, wait_until


def forward_of_rank(rank, batch, x, blocks, dtype, train, step):
    """The rows of a rank, x, through the blocks; y goes into the batch. Returns the caches."""
    rows = batch.rows[rank]
    if rank and train and not are_pixels(x):  # a cache may hold x, and the next call writes there
        x = x.copy()
    batch.y[rows], caches = forward_by_rows(blocks, x, dtype, train, step, rows.start, keep=train)
    return caches


def main():
    """The program of the process. Arguments: file descriptor of the memory, number of the rank, process of rank 0."""
    fd, rank, parent = map(int, sys.argv[1:])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whoever prints does not print into the answers
    keep_freed_memory()
    try:
        _Rank(fd, rank, parent, sys.stdin.buffer, answers).serve()
    except (EOFError, BrokenPipeError):  # rank 0 is gone
        os._exit(1)


class _Rank:
    def __init__(self, fd, rank, parent, orders, answers):
        self.rank, self.parent, self.orders, self.answers = rank, parent, orders, answers
        self.memory = SharedMemory(fd, *pickle.load(orders))
        self.caches = {}  # number of a call: (batch, caches)

    def serve(self):
        words, done, order = self.memory.words, Word.done(self.rank), 0
        fulfil = {DESCRIBE: self.describe, FORWARD: self.forward, BACKWARD: self.backward}
        while True:
            order += 1
            wait_until(words, Word.ORDER, order, self.leave_if_alone)
            if words[Word.OPERATION] == LEAVE:
                return
            try:
                fulfil[words[Word.OPERATION]](words)
            except Exception as error:
                error.add_note(f"In rank {self.rank}:\n{traceback.format_exc()}")
                words[done + 1], words[done] = 1, order
                self.answer(error)
            else:
                words[done + 1], words[done] = 0, order

    def describe(self, words):
        layers, input_gradient, arithmetic, self.rows = _Reader(self.orders, self.memory.params).load()
        self.blocks, self.batches = fuse(layers, input_gradient), {}
        np.seterr(**arithmetic)

    def forward(self, words):
        for call in words[Word.DROPPED_CALLS : Word.DROPPED_CALLS + words[Word.DROPPED]]:
            self.caches.pop(call, None)
        N, train, step = words[Word.ROWS], bool(words[Word.TRAIN]), words[Word.STEP]
        if N not in self.batches:
            self.batches[N] = Batch(self.memory, N, *self.rows)
        batch = self.batches[N]
        caches = forward_of_rank(self.rank, batch, batch.x[self.rank], self.blocks, self.memory.dtype, train, step)
        if train:
            self.caches[words[Word.CALL]] = batch, caches

    def backward(self, words):
        batch, caches = self.caches[words[Word.CALL]]
        dx, grads = backward_by_rows(self.blocks, batch.dy[batch.rows[self.rank]], caches)
        if dx is not None:
            batch.dx[self.rank][...] = dx
        for name, g in self.memory.grads[self.rank].items():
            g[...] = grads[name]

    def answer(self, error):
        try:
            text = pickle.dumps(error)
        except Exception:  # what cannot travel is told
            text = pickle.dumps(RuntimeError(repr(error)))
        self.answers.write(text)
        self.answers.flush()

    def leave_if_alone(self):
        if os.getppid() != self.parent:
            os._exit(1)


class _Reader(pickle.Unpickler):
    """Layers whose parameters stay in the shared memory."""

    def __init__(self, file, params):
        super().__init__(file)
        self.params = params

    def persistent_load(self, kind_and_name):
        kind, name = kind_and_name
        return self.params[name] if kind == "parameter" else get_backend("numpy")
