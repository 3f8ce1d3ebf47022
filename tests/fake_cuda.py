"""Streams, graphs and events as `cupy.cuda` has them, on the host: what is launched runs at once, or is captured.

A fake kernel launch is a call of `launch`. What a real device refuses during a capture is refused here: the default
stream cannot be captured, waiting ends the capture as invalid, and so does an error in it.
"""

import time
from types import SimpleNamespace


class FakeCuda:
    """One device. Attributes: launches (number of launches that ran), syncs (number of times the host waited)."""

    def __init__(self):
        self.launches = self.syncs = self.captures = self.replays = 0
        self.null = self.Stream(null=True)
        self.streams = [self.null]

    def launch(self, function):
        """Run, or capture if the current stream does."""
        captured = self.streams[-1].captured
        if captured is None:
            self.launches += 1
            function()
        else:
            captured.append(function)

    def wait(self):
        """What every synchronisation does."""
        if self.streams[-1].captured is not None:
            self.streams[-1].valid = False
            raise RuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
        self.syncs += 1

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


class FakeGraph:
    def __init__(self, cuda, functions):
        self.cuda, self.functions = cuda, functions

    def launch(self, stream=None):
        assert self.cuda.streams[-1].captured is None, "a graph was launched into a capture"
        self.cuda.replays += 1
        for function in self.functions:
            function()


class FakeEvent:
    def __init__(self, cuda):
        self.cuda = cuda

    def record(self, stream=None):
        self.seconds = time.perf_counter()

    def synchronize(self):
        self.cuda.wait()
