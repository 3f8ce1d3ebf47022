"""Streams, graphs and events as `cupy.cuda` has them, on the host: what is launched runs at once, or is captured.

A fake kernel launch is a call of `launch`, an operation on arrays (strict_device.py) one of `operation`. What a real
device refuses during a capture is refused here: the default stream cannot be captured, waiting and copies from the host
end the capture as invalid, and so does an error in it. Memory comes from pools, see fake_memory.py.
"""

import time
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np

from fake_memory import FakePool


class FakeCuda:
    """One device.

    Attributes, numbers: launches (of kernels) and operations (on arrays) that ran by themselves, captures, replays (of
    graphs), syncs (how often the host waited), copies (from the host), allocations_in_captures.
    """

    def __init__(self):
        self.launches = self.operations = self.syncs = self.captures = self.replays = self.copies = 0
        self.allocations_in_captures = 0
        self.null = self.Stream(null=True)
        self.streams = [self.null]
        self.pools = [FakePool(self)]

    def launch(self, function):
        """Run, or capture if the current stream does."""
        captured = self.streams[-1].captured
        if captured is None:
            self.launches += 1
            function()
        else:
            captured.append(function)

    @property
    def capturing(self):
        return self.streams[-1].captured is not None

    def operation(self, work, first=None):
        """As launch; `first` does what work does, if it runs at once."""
        if self.capturing:
            self.streams[-1].captured.append(work)
        else:
            self.operations += 1
            (first or work)()

    def place_for(self, result):
        """An array like `result`, in memory of the current pool, and that memory. It holds anything."""
        memory = self.pools[-1].malloc(result.nbytes)
        like = result.copy(order="K")
        place = np.ndarray(result.shape, result.dtype, memory.block, strides=like.strides)
        if place.dtype.kind != "f":
            place[...] = 0  # what is an index later must be one
        return place, memory

    def allocated(self):
        """A pool had no block to reuse."""
        self.allocations_in_captures += self.capturing

    def complaints(self):
        """Numbers mean nothing during a capture."""
        return np.errstate(all="ignore") if self.capturing else nullcontext()

    def refuse_in_capture(self, what="operation"):
        if self.capturing:
            self.streams[-1].valid = False
            raise RuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} not permitted when stream is capturing")

    def copy_from_host(self, what):
        self.refuse_in_capture(f"{what}, copied from the host,")
        self.copies += 1

    def copy_to_host(self):
        self.refuse_in_capture("a copy to the host")

    def wait(self):
        """What every synchronisation does."""
        self.refuse_in_capture()
        self.syncs += 1

    def MemoryPool(self):
        return FakePool(self)

    @contextmanager
    def using_allocator(self, malloc):
        self.pools.append(malloc.__self__)
        try:
            yield
        finally:
            self.pools.pop()

    def Stream(self, null=False, non_blocking=False):
        return FakeStream(self, null)

    def Event(self):
        return FakeEvent(self)

    def Device(self):
        return SimpleNamespace(synchronize=self.wait)

    def get_elapsed_time(self, start, end):
        return 1e3 * (end.seconds - start.seconds)

    def get_current_stream(self):
        return self.streams[-1]


class FakeStream:
    def __init__(self, cuda, null):
        self.cuda, self.is_null = cuda, null
        self.captured, self.valid = None, True

    def __enter__(self):
        self.cuda.streams.append(self)
        return self

    def __exit__(self, *exception):
        assert self.cuda.streams.pop() is self

    def begin_capture(self, mode=None):
        if self.is_null:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self.cuda.captures += 1
        self.captured = []

    def end_capture(self):
        captured, self.captured = self.captured, None
        if not self.valid:
            raise RuntimeError("cudaErrorStreamCaptureInvalidated: operation failed due to a previous error")
        return FakeGraph(self.cuda, captured)

    def synchronize(self):
        self.cuda.wait()

    def record(self):
        return FakeEvent(self.cuda)

    def wait_event(self, event):
        assert not self.cuda.capturing


class FakeGraph:
    def __init__(self, cuda, functions):
        self.cuda, self.functions = cuda, functions

    def launch(self, stream=None):
        assert self.cuda.streams[-1].captured is None, "a graph was launched into a capture"
        self.cuda.replays += 1
        with np.errstate(all="ignore"):  # a device does not complain
            for function in self.functions:
                function()


class FakeEvent:
    def __init__(self, cuda):
        self.cuda = cuda

    def record(self, stream=None):
        self.seconds = time.perf_counter()

    def synchronize(self):
        self.cuda.wait()
