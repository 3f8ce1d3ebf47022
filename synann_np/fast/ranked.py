"""A Blocked model whose rows are shared out to several processes."""

import threading
import time

import numpy as np

from .blocked import Blocked, backward_by_rows
from .pace import Pace
from .rank_process import forward_of_rank
from .shared_memory import BACKWARD, FORWARD, Word
from .shared_rows import SharedRows

TOGETHER, ALONE = "together", "alone"


class Ranked(Blocked):
    """Blocked, with every batch cut into as many parts as there are ranks: processes with one thread of BLAS each.

    This process is rank 0. It does what the serial model does, but of the part by rows only its share. The others hold
    the same blocks over the same parameters, which were moved to shared memory: the layers' dicts hold them as before,
    but arrays taken out of the dicts earlier are no longer those of the model. A step is

        rank 0                                       the others
        rows of x into shared memory
        forward by rows                              forward by rows, y into shared memory, caches kept
        the layers behind, the loss, backward
        rows of dy into shared memory
        backward by rows                             backward by rows, gradients into shared memory
        sum of the gradients in the order of the
        ranks; the optimiser

    so that equal settings give equal bits, and other numbers of ranks differ by rounding. The processes start with the
    first batch and end with close(), with this object or with this process, whatever ends it. Idle ones sleep.

    Where the cores are busy with other work, ranks that wait for each other are slower than one alone. So now and then
    rank 0 does some steps alone, part by part in the order of the ranks, which gives the same bits, and goes on as was
    faster (pace.py).

    Rank 0 does all the rows as one part, as Blocked does, of a batch of fewer rows than ranks, of what does not fit the
    shared memory, in a fork of this process, and after close().

    Arguments: rows: dict name -> layer of the part by rows. by_rows, joint: as Blocked. ranks: at least 2.

    Raises: ChildProcessError (forward, backward) if one of the others is dead; the model is then closed, its weights
    are whole. An exception in another rank is raised here, with its traceback as a note.
    """

    def __init__(self, model, rows, by_rows, joint, ranks, input_gradient):
        super().__init__(model, by_rows, joint)
        self.rows = SharedRows(rows, by_rows, ranks, model.dtype, input_gradient)
        self.team, self.lock = self.rows.team, threading.Lock()
        self.calls, self.dropped = 0, []
        self.paces = {train: Pace(TOGETHER, ALONE) for train in (True, False)}

    def forward(self, x, train=False, step=0):
        with self.lock:
            batch = self.rows.batch(x)
            shared = batch is not None and self._forward(batch, x, train, step)
        if not shared:
            return super().forward(x, train, step)
        y, call = shared
        y, joint_caches = self.joint.forward(y, train, step)
        return y, (call if train else x, joint_caches)

    def backward(self, dy, caches):
        call, joint_caches = caches
        if not isinstance(call, _Call):
            return super().backward(dy, caches)
        dy, joint_grads = self.joint.backward(dy, joint_caches)
        with self.lock:
            began = time.perf_counter()
            dx, grads = self._backward(call, dy)
            self.paces[True].took(call.way, call.seconds + time.perf_counter() - began)
        return dx, grads | joint_grads

    def close(self):
        """End the other processes; if there are none, nothing happens."""
        with self.lock:
            self.team.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _forward(self, batch, x, train, step):
        began = time.perf_counter()
        self.team.wait()
        for part, rows in zip(batch.x[1:], batch.rows[1:], strict=True):
            part[...] = x[rows]
        way = self.paces[bool(train)].choose()
        if way == TOGETHER:
            self.calls += 1
            call = _Call(self.calls, batch, self.dropped)
            self._forward_together(call, x, train, step)
        else:
            self.team.check_alive()
            call = _Call(None, batch, self.dropped)
            call.caches = [
                self._forward_part(batch, rank, part if rank else x[batch.rows[0]], train, step)
                for rank, part in enumerate(batch.x)
            ]
        call.way, call.seconds = way, time.perf_counter() - began
        if not train:
            self.paces[False].took(way, call.seconds)
        return batch.y.copy(), call

    def _forward_together(self, call, x, train, step):
        batch = call.batch
        words, gone = self.team.memory.words, self.dropped[: Word.MOST_DROPPED]
        del self.dropped[: len(gone)]
        words[Word.CALL], words[Word.ROWS], words[Word.STEP], words[Word.TRAIN] = call.number, len(x), step, bool(train)
        words[Word.DROPPED] = len(gone)
        for i, number in enumerate(gone, start=Word.DROPPED_CALLS):
            words[i] = number
        own = x[batch.rows[0]]
        call.caches = [self.team.order(FORWARD, lambda: self._forward_part(batch, 0, own, train, step))]

    def _forward_part(self, batch, rank, x, train, step):
        return forward_of_rank(rank, batch, x, self.by_rows, self.dtype, train, step)

    def _backward(self, call, dy):
        if self.team.closed and call.way == TOGETHER:
            raise ChildProcessError("backward: the processes that hold the caches of this call are gone")
        self.team.wait()
        batch = call.batch
        if dy.shape != batch.dy.shape:
            raise ValueError(f"backward: expected the gradient of y {batch.dy.shape}, got {dy.shape}")
        own, others = batch.rows[0], slice(batch.rows[1].start, None)
        batch.dy[others] = dy[others]
        if call.way == ALONE:
            gradients = [dy[own], *(batch.dy[rows] for rows in batch.rows[1:])]
            parts = [backward_by_rows(self.by_rows, *part) for part in zip(gradients, call.caches, strict=True)]
            (dx, grads), dxs, others_grads = parts[0], [dx for dx, _ in parts[1:]], [grads for _, grads in parts[1:]]
        else:
            self.team.memory.words[Word.CALL] = call.number
            dx, grads = self.team.order(BACKWARD, lambda: backward_by_rows(self.by_rows, dy[own], call.caches[0]))
            dxs, others_grads = batch.dx[1:], self.team.memory.grads[1:]
        for name in grads:
            for of_rank in others_grads:
                grads[name] = grads[name] + of_rank[name]
        return None if dx is None else np.concatenate([dx, *dxs]), grads


class _Call:
    """A forward call: what rank 0 keeps of it. When it goes, the others may drop their caches of it.

    number: None if the others have no part in it. caches: of rank 0, or of all ranks, done here.
    """

    def __init__(self, number, batch, dropped):
        self.number, self.batch, self.dropped, self.caches = number, batch, dropped, None

    def __del__(self):
        if self.number is not None:
            self.dropped.append(self.number)
