"""Work that is run once, then captured, then replayed, with its own stream and its own memory."""

from contextlib import ExitStack
from functools import cached_property

from ....product import computed_by


class Workshop:
    """Where captured work is run: one stream, one memory pool, one matrix product, the same in every run and capture.

    What a captured operation writes is a block of memory that was free at the time of the capture. It belongs to the
    graph for as long as it lives, so blocks come from a pool that nothing else uses, and that is kept with the graphs.
    The first run, on the same stream, fills the pool, so that the capture asks the device for nothing.

    Arguments: graphs: Graphs. product: function for product.computed_by, one that can be captured.
    """

    def __init__(self, graphs, product):
        self.graphs, self.cuda, self.product = graphs, graphs.cuda, product

    @cached_property
    def stream(self):
        """Of every run and capture."""
        return self.cuda.Stream(non_blocking=True)

    @cached_property
    def pool(self):
        """Of every run and capture."""
        return self.cuda.MemoryPool()

    def run(self, work):
        """Do the work now, in its turn on the current stream."""
        current = self.cuda.get_current_stream()
        self.stream.wait_event(current.record())
        with self._inside(self.stream):
            work()
        current.wait_event(self.stream.record())

    def capture(self, work):
        """The graph of the work, or None: see Graphs.capture."""
        with self._inside():
            return self.graphs.capture(work, self.stream)

    def _inside(self, *contexts):
        stack = ExitStack()
        for context in (*contexts, self.cuda.using_allocator(self.pool.malloc), computed_by(self.product)):
            stack.enter_context(context)
        return stack


class Program:
    """One kind of step: the same launches every time.

    Arguments: workshop: Workshop. work: function without arguments.
    """

    def __init__(self, workshop, work):
        self.workshop, self.work = workshop, work
        self.is_warm, self.graph = False, None

    def __call__(self):
        if self.is_warm and self.graph is None:
            self.graph = self.workshop.capture(self.work)
        if self.graph is None:
            self.workshop.run(self.work)
        else:
            self.graph.launch()
        self.is_warm = True
