"""The processes of the benchmark on a CPU: one for every peer, and others that only keep the cores busy."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
TUNED = {"MALLOC_MMAP_THRESHOLD_": 2**30, "MALLOC_TRIM_THRESHOLD_": 2**30, "MALLOC_TOP_PAD_": 2**26}
# Each peer gets its number of threads as an argument, so what the caller's environment says of it is left out.
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# It ends with its parent, even if that is killed.
SPIN = """
import os, sys
print(flush=True)
while os.getppid() == int(sys.argv[1]):
    for _ in range(100_000):
        pass
"""


class PeerFailed(Exception):
    """A peer could not do what it was asked; the message names it."""


class Peer:
    """A worker process: see worker.py.

    Arguments: name: of the peer. subject: a network, or n of a synapse layer. threads: that it computes with.
    """

    def __init__(self, name, subject, threads):
        self.name, self.subject, self.threads = name, subject, threads
        environment = {key: value for key, value in os.environ.items() if key not in (*LIMITS, "SYNANN_FAST")}
        environment |= {key: str(value) for key, value in TUNED.items() if name == "torch-tuned"}
        environment |= {"SYNANN_FAST": "0"} if name == "plain" else {}
        environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, str(subject), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def ask(self, work, **order):
        """The answer to an order. Raises: PeerFailed."""
        answer = {"error": "the process died"}
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"work": work, **order}) + "\n")
            self.process.stdin.flush()
            if line := self.process.stdout.readline():
                answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(f"{self.name}, {self.subject}, {work}: {answer['error']}")
        return answer

    def close(self):
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextmanager
def busy_cores(count):
    """So many other processes compute meanwhile; at the end they are killed, whatever happens."""
    processes = []
    try:
        for _ in range(count):
            command = [sys.executable, "-c", SPIN, str(os.getpid())]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        for process in processes:
            process.stdout.readline()  # it has begun
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
