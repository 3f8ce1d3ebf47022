"""A process that holds one peer and works on demand. One JSON object a line, in and out.

in:  {"work": "step", "arguments": {...}, "calls": 20, "values": 3}
out: {"ms": [...], "values": [results of the first calls]}
"""

import json
import sys
import time


def make_peer(name, threads):
    if name in ("plain", "fast"):
        from benchmarks.numpy_peers import NumpyPeer

        return NumpyPeer(name == "fast")
    from benchmarks.torch_peers import TorchPeer

    return TorchPeer(threads, listing=name == "torch-listing")


def kib(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def serve(name, threads):
    peer, works = make_peer(name, threads), {}
    for line in sys.stdin:
        order = json.loads(line)
        key = json.dumps([order["work"], order["arguments"]])
        if key not in works:
            if order.get("forget", True):
                works.clear()
            works[key] = getattr(peer, order["work"])(**order["arguments"])
        work, values, ms = works[key], [], []
        before = kib("VmRSS:")
        for _ in range(order["calls"]):
            started = time.perf_counter()
            value = float(work())
            ms.append(1e3 * (time.perf_counter() - started))
            values.append(value)
        peak = kib("VmHWM:")
        print(json.dumps({"ms": ms, "values": values, "extra_mib": max(0, peak - before) / 1024}), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
