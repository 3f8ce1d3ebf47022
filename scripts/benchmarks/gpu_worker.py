"""A process that holds one peer on the GPU and works on demand. One JSON object a line, in and out.

in:  {"work": "steps", "arguments": {...}, "calls": 3}      or {"work": "device"}
out: {"values": [...], "seconds": [...]}                    or the peer's dict, or {"error": "..."}: the worker lives on
"""

import gc
import json
import sys
import time

from benchmarks.json_channel import JsonChannel


def make_peer(name):
    if name in ("plain", "fast"):
        from benchmarks.gpu_peers import GpuPeer

        return GpuPeer(name == "fast")
    from benchmarks.gpu_torch_peers import GpuTorchPeer

    return GpuTorchPeer(graphs=name == "torch-graphs")


class Server:
    """Answers orders; keeps the last work that it prepared, and nothing of the one before. After every answer the pool
    of the device's memory is emptied: the next order may be another peer's.

    Arguments: make: function without arguments that makes the peer.
    """

    def __init__(self, make):
        self.make, self.peer = make, None
        self.key, self.work = None, None

    def answer(self, order):
        answer = self.answer_or_error(order)
        if self.peer is not None:
            gc.collect()  # arrays that are held by cycles of references
            self.peer.free_memory()
        return answer

    def answer_or_error(self, order):
        try:
            self.peer = self.peer or self.make()
            if order["work"] == "device":
                return self.peer.device()
            return self.do(order)
        except Exception as error:  # no GPU, no PyTorch, out of memory, a wrong result: told, and the others go on
            self.key = self.work = None
            return {"error": f"{type(error).__name__}: {error}"}

    def do(self, order):
        key = order["work"], sorted(order["arguments"].items())
        if key != self.key:
            self.key = self.work = None
            self.work, self.key = getattr(self.peer, order["work"])(**order["arguments"]), key
        values, seconds = [], []
        for _ in range(order["calls"]):
            started = time.perf_counter()
            values.append(float(self.work()))
            seconds.append(time.perf_counter() - started)
        return {"values": values, "seconds": seconds}


def main():
    channel, server = JsonChannel(), Server(lambda: make_peer(sys.argv[1]))
    for line in sys.stdin:
        channel.write(server.answer(json.loads(line)))


if __name__ == "__main__":
    main()
