"""Launches that are the same every time, as one CUDA graph."""

from contextlib import suppress

from .announcement import print_to_stderr


class Graphs:
    """Makes work replayable, and remembers if capturing does not work here.

    Arguments:
        cuda: the namespace with Stream, `backend.xp.cuda`.
        announce: function of a line.
    """

    def __init__(self, cuda, announce=print_to_stderr):
        self.cuda, self.announce = cuda, announce
        self.refused = False

    def replayed(self, work):
        """A function that does what `work` does, as one graph if that is possible.

        The first call runs work as it is: kernels are compiled and loaded by then. The second captures, which runs
        nothing, and from there on the graph is launched, on the stream that is current at the time. What is captured
        are addresses: work must write into arrays that exist before and outlive the graph, and take every number that
        changes from the device.

        The first capture that fails is announced in a line, and all work runs launch by launch from then on.
        """
        return _Replay(self, work)

    def capture(self, work, stream=None):
        """The graph of what work launches, or None. Nothing is run.

        The legacy default stream cannot be captured, so this is done on `stream`, or on a new one.
        """
        if self.refused:
            return None
        try:
            stream = stream or self.cuda.Stream(non_blocking=True)
            with stream:
                stream.begin_capture()
                try:
                    work()
                except BaseException:
                    with suppress(Exception):  # it says that the capture is invalid; what matters is that it ends
                        stream.end_capture()
                    raise
                return stream.end_capture()
        except Exception as error:  # CuPy's own errors, the driver's, and refusals of functions that would wait
            self.refused = True
            self.announce(f"No CUDA graph ({type(error).__name__}: {error}): the kernels are launched one by one")
            return None


class _Replay:
    def __init__(self, graphs, work):
        self.graphs, self.work = graphs, work
        self.warm, self.graph = False, None

    def __call__(self):
        if self.warm and self.graph is None:
            self.graph = self.graphs.capture(self.work)
        self.warm = True
        if self.graph is None:
            self.work()
        else:
            self.graph.launch()
