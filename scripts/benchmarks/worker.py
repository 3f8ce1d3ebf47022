"""A process that holds one peer and works on demand: one JSON object a line, in and out.

    python -m benchmarks.worker PEER SUBJECT THREADS        SUBJECT: a network, or n of a synapse layer

    {"work": "values", "path": P}      -> {}                results to compare, written to P (.npz)
    {"work": "step", "calls": 20}      -> {"ms": [20 times], "peak_mib": ..., "extra_mib": ...}

peak_mib is the largest resident memory since this work was prepared, extra_mib how much of it came after that. Both are
null where there is no /proc. What goes wrong is answered as {"error": "..."}.
"""

import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.json_channel import JsonChannel

SECONDS_OF_SPINNING = 0.1  # threads of OpenMP and of BLAS may spin that long for more work


def make_subject(peer, subject, threads):
    """What the peer computes: see numpy_peers.py and torch_peers.py."""
    side = importlib.import_module("benchmarks.torch_peers" if peer.startswith("torch") else "benchmarks.numpy_peers")
    side.prepare(threads)
    return side.SynapseLayer(int(subject), threads) if subject.isdecimal() else side.Network(subject, threads)


class Memory:
    """Resident memory of this process, with its children, since this object was made."""

    def __init__(self):
        self.known = Path("/proc/self/clear_refs").exists()
        if self.known:
            Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
            self.before = _mib("VmRSS:")

    def peak(self):
        """Pages that processes share count in each. Returns: dict."""
        if not self.known:
            return {"peak_mib": None, "extra_mib": None}
        lists = Path("/proc/self/task").glob("*/children")
        children = [child for children in lists for child in children.read_text().split()]
        peak = sum(_mib("VmHWM:", process) for process in ("self", *children))
        return {"peak_mib": peak, "extra_mib": peak - self.before}


def _mib(field, process="self"):
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0)


class Server:
    """Answers orders; keeps every work that it prepared."""

    def __init__(self, make):
        self.make, self.subject, self.works = make, None, {}

    def answer(self, order):
        try:
            self.subject = self.subject or self.make()
            if order["work"] == "values":
                np.savez(order["path"], **self.subject.values())
                return {}
            return self.time(order["work"], order["calls"])
        except Exception as error:  # the parent tells it, and the other peers go on
            return {"error": f"{type(error).__name__}: {error}"}

    def time(self, name, calls):
        if name not in self.works:
            self.works[name] = getattr(self.subject, name)(), Memory()
        work, memory = self.works[name]
        ms = []
        for _ in range(calls):
            started = time.perf_counter()
            work()
            ms.append(1e3 * (time.perf_counter() - started))
        peak = memory.peak()
        time.sleep(SECONDS_OF_SPINNING)  # before the next peer has its turn
        return {"ms": ms} | peak


def main(peer, subject, threads):
    server = Server(lambda: make_subject(peer, subject, int(threads)))
    channel = JsonChannel()
    for line in sys.stdin:
        channel.write(server.answer(json.loads(line)))


if __name__ == "__main__":
    main(*sys.argv[1:])
