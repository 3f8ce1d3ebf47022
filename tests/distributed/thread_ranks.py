"""Ranks that are threads of one process: a Communicator for tests without MPI."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from synann_np.distributed.tree import TreeCommunicator


class World:
    """What the threads share."""

    def __init__(self, size):
        self.size = size
        self.mail = {(a, b): queue.Queue() for a in range(size) for b in range(size)}
        self.board, self.meeting = [None] * size, threading.Barrier(size)


class ThreadRank(TreeCommunicator):
    xp = np
    local_rank = 0

    def __init__(self, world, rank):
        self.world, self.rank, self.size = world, rank, world.size
        self.sent = self.calls = 0

    def exchange(self, give, partner):
        self.world.mail[self.rank, partner].put(give.copy())
        return self.world.mail[partner, self.rank].get(timeout=30)

    def allreduce(self, a):
        return sum(self.gathered(a))

    def gathered(self, value):
        self.barrier()
        self.world.board[self.rank] = value
        self.barrier()
        found = list(self.world.board)
        self.barrier()
        return found

    def largest(self, number):
        return max(self.gathered(number))

    def from_first(self, value):
        return self.gathered(value)[0]

    def barrier(self):
        self.world.meeting.wait(timeout=60)

    def abort(self, code):
        self.world.meeting.abort()
        return code


def on_ranks(size, work, make=ThreadRank):
    """[work(communicator) of rank 0, ...], each on a thread of its own. An exception of one is raised here."""
    world = World(size)

    def one(rank):
        with np.errstate(all="raise"):  # a new thread has NumPy's defaults
            try:
                return work(make(world, rank))
            except BaseException:
                world.meeting.abort()
                raise

    with ThreadPoolExecutor(size) as pool:
        done = [pool.submit(one, rank) for rank in range(size)]
        errors = [future.exception() for future in done if future.exception()]
        for error in errors:
            if not isinstance(error, threading.BrokenBarrierError | queue.Empty):
                raise error
        return [future.result() for future in done]
