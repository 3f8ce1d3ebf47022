"""The other ranks of a model: processes that are started, given orders, waited for and ended."""

import io
import os
import pickle
import signal
import subprocess
import sys
import weakref

from ..backend import Backend
from .loops.compiler import working_compiler
from .shared_memory import LEAVE, SharedMemory, Word, wait_until

PROGRAM = "import sys; sys.path[:] = {path!r}; from {package}.rank_process import main; main()"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SECONDS_TO_LEAVE = 2


class RankTeam:
    """Ranks 1, 2, ... of a model, fresh interpreters: a fork would copy locks that threads of this process may hold.

    They see neither Ctrl-C nor SIGTERM, which go to rank 0; without it they leave. One that is killed, or an exception
    in one, is noticed here in the next wait.

    Arguments: ranks, dtype, shapes: as SharedMemory.
    Attributes: memory; closed, by close() or by the death of one of them.
    """

    def __init__(self, ranks, dtype, shapes):
        self.layout = ranks, dtype, shapes
        self.memory = SharedMemory(None, *self.layout)
        self.processes, self.closed, self.number, self.waited_for = [], False, 0, 0
        self.end = weakref.finalize(self, os.close, self.memory.fd)

    def start(self):
        """Start the processes, if there are none. Raises: OSError if the system does not let."""
        if self.processes:
            return
        package, fd = __name__.rpartition(".")[0], self.memory.fd
        # All ranks compute in the same way, and one of them is enough to warn of a compiler that does not work.
        settings = ONE_THREAD | ({} if working_compiler() else {"SYNANN_C": "0"})
        program = PROGRAM.format(path=[p or os.getcwd() for p in sys.path], package=package)
        processes = []
        self.end.detach()
        self.end = weakref.finalize(self, _end, os.getpid(), self.memory.words, processes, fd)
        # The mask is inherited: from its first moment on, a rank does not see these two.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            for rank in range(1, self.memory.ranks):
                arguments = [sys.executable, "-c", program, str(fd), str(rank), str(os.getpid())]
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "pass_fds": [fd]}
                processes.append(subprocess.Popen(arguments, env=os.environ | settings, **pipes))
                pickle.dump(self.layout, processes[-1].stdin)
                processes[-1].stdin.flush()
        except BaseException:
            self.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.processes = processes

    def order(self, operation, meanwhile=lambda: None, message=b""):
        """Let the others do an operation of shared_memory.py, do `meanwhile` here, and wait for them.

        message: for DESCRIBE, from `written`.

        Whoever writes for an order calls `wait` before: Ctrl-C may have come in the last one.

        Returns: what meanwhile returned. Raises: what meanwhile raised, or another rank; ChildProcessError.
        """
        words, self.number = self.memory.words, self.number + 1
        words[Word.OPERATION] = operation
        words[Word.ORDER] = self.number
        try:
            for process in self.processes if message else ():
                process.stdin.write(message)
                process.stdin.flush()
            result = meanwhile()
        finally:
            error = self.wait()
        if error is not None:
            raise error
        return result

    def written(self, description):
        """An object with layers in it as bytes; their parameters are named, not copied."""
        file = io.BytesIO()
        _Writer(file, self.memory.params).dump(description)
        return file.getvalue()

    def close(self):
        """End the processes; if there are none, nothing happens."""
        self.closed, self.processes = True, []
        self.end()

    def wait(self):
        """Wait for the last order. Returns: an exception of another rank, None if there was none or it is known."""
        words, error = self.memory.words, None
        if self.waited_for == self.number:
            return None
        for rank, process in enumerate(self.processes, start=1):
            done = Word.done(rank)
            wait_until(words, done, self.number, self.check_alive)
            if words[done + 1]:
                try:
                    error = pickle.load(process.stdout)
                except EOFError:  # it died while it wrote
                    process.wait()
                    self.check_alive()
        self.waited_for = self.number
        return error

    def check_alive(self):
        """Raises: ChildProcessError if one of them is dead."""
        for rank, process in enumerate(self.processes, start=1):
            if (code := process.poll()) is not None:
                self.waited_for = self.number
                self.close()
                raise ChildProcessError(
                    f"rank {rank} of the model, process {process.pid}, ended with code {code} (negative: a signal); "
                    "threads=1 does without other processes"
                )


class _Writer(pickle.Pickler):
    def __init__(self, file, params):
        super().__init__(file)
        self.names = {id(p): name for name, p in params.items()}

    def persistent_id(self, thing):
        if isinstance(thing, Backend):
            return "backend", None
        name = self.names.get(id(thing))
        return None if name is None else ("parameter", name)


def _end(owner, words, processes, fd):
    os.close(fd)
    if os.getpid() != owner:  # a fork of rank 0 has no processes to end
        return
    words[Word.OPERATION] = LEAVE
    words[Word.ORDER] += 1
    for process in processes:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(SECONDS_TO_LEAVE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
