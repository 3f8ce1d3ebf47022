"""Launches that are the same every time, as one CUDA graph."""

from contextlib import suppress


class Replay:
    """A callable that launches what `work` launches, from the second call on in one go.

    The first call runs work as it is: kernels are compiled and loaded by then. The second captures, which runs nothing,
    and from there on the graph is launched, on the stream that is current at the time. What is captured are addresses:
    work must write into arrays that exist before and outlive the graph, and take every number that changes from the
    device.

    If the capture fails, that is announced in a line, and work runs launch by launch for good.

    Arguments:
        cuda: the namespace with Stream, `backend.xp.cuda`.
        work: function without arguments.
        announce: function of a line.
    """

    def __init__(self, cuda, work, announce=print):
        self.cuda, self.work, self.announce = cuda, work, announce
        self.calls = 0
        self.graph = None
        self.failed = False

    def __call__(self):
        self.calls += 1
        if self.calls > 1 and self.graph is None and not self.failed:
            try:
                self.graph = capture(self.cuda, self.work)
            except Exception as error:  # CuPy's own errors, the driver's, and refusals of functions that would wait
                self.failed = True
                self.announce(f"No CUDA graph ({type(error).__name__}: {error}): the steps are launched one by one")
        if self.graph is None:
            self.work()
        else:
            self.graph.launch()


def capture(cuda, work):
    """The graph of what work launches. Nothing is run.

    The legacy default stream cannot be captured, so the work is done on a stream of its own, which other streams do not
    wait for.
    """
    stream = cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            work()
        except BaseException:
            with suppress(Exception):  # it says that the capture is invalid; what matters is that it ends
                stream.end_capture()
            raise
        return stream.end_capture()
