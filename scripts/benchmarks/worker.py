"""A process that holds one peer and works on demand. One JSON object a line, in and out.

in:  {"work": "step", "arguments": {...}, "calls": 20, "values": 3}
out: {"ms": [...], "values": [...]}, or {"extra_mib": ...} if the order says "memory": true

The work "peak" takes no time: it answers the peak resident memory so far, {"peak_mib": ...}.
"""

import json
import os
import sys
import time
import tracemalloc
from pathlib import Path

from benchmarks.json_channel import JsonChannel

OURS = ("plain", "fast", "fast-1-core", "fast-numpy")
SECONDS_OF_SPINNING = 0.1  # of whoever waits for more work, as OpenMP's threads and the processes of the fast path do


def make_peer(name, threads):
    if name in OURS:
        from benchmarks.numpy_peers import NumpyPeer

        return NumpyPeer(name != "plain", threads)
    from benchmarks.torch_peers import TorchPeer

    return TorchPeer(threads, listing=name == "torch-listing")


def kib(field, process="self"):
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def peak_mib():
    """Of this process and its children, the other ranks of a compiled network. Pages that they share count in each."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return sum(kib("VmHWM:", process) for process in ("self", *children)) / 1024


def serve(name, threads):
    channel = JsonChannel()
    peer, works = make_peer(name, threads), {}
    for line in sys.stdin:
        order = json.loads(line)
        if order["work"] == "peak":
            channel.write({"peak_mib": peak_mib()})
            continue
        key = json.dumps([order["work"], order["arguments"]])
        if key not in works:
            if order.get("forget", True):
                works.clear()
            works[key] = getattr(peer, order["work"])(**order["arguments"])
        work, values, ms = works[key], [], []
        if order.get("memory"):
            channel.write({"extra_mib": extra_memory(work, name) / 2**20})
            continue
        for _ in range(order["calls"]):
            started = time.perf_counter()
            value = float(work())
            ms.append(1e3 * (time.perf_counter() - started))
            values.append(value)
        time.sleep(SECONDS_OF_SPINNING)  # before the next peer has its turn
        channel.write({"ms": ms, "values": values})


def extra_memory(work, name):
    """Bytes that a call holds at most beyond what is there before.

    It is the growth of the resident size to its peak. Of a process that keeps freed memory that may say too little, so
    with ours it is at least what NumPy tells tracemalloc, which is all arrays, but not what loops in C borrow.
    """
    if name in OURS:
        tracemalloc.start()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
    before = kib("VmRSS:")
    work()
    traced = tracemalloc.get_traced_memory()[1] if name in OURS else 0
    return max(traced, 1024 * (kib("VmHWM:") - before))


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
