"""Work that is run once, then captured, then replayed, with a stream and memory of its own."""

from contextlib import ExitStack
from functools import cached_property

from ....product import computed_by


class Workshop:
    """Where captured work is run: one stream and one matrix product, the same in every run and capture.

    Arguments: graphs: Graphs. product: function for product.computed_by, one that can be captured.
    """

    def __init__(self, graphs, product):
        self.graphs, self.cuda, self.product = graphs, graphs.cuda, product

    @cached_property
    def stream(self):
        """Of every run and capture."""
        return self.cuda.Stream(non_blocking=True)

    def run(self, work, pool):
        """Do the work now, in its turn on the current stream, with memory of a pool."""
        current = self.cuda.get_current_stream()
        self.stream.wait_event(current.record())
        with self._inside(pool, self.stream):
            work()
        current.wait_event(self.stream.record())

    def capture(self, work, pool):
        """The graph of the work, or None: see Graphs.capture."""
        with self._inside(pool):
            return self.graphs.capture(work, self.stream)

    def _inside(self, pool, *contexts):
        stack = ExitStack()
        for context in (*contexts, self.cuda.using_allocator(pool.malloc), computed_by(self.product)):
            stack.enter_context(context)
        return stack


class Program:
    """One kind of step: the same launches every time, in memory of its own.

    What a captured operation writes is a block of memory that was free at the time of the capture. It belongs to the
    graph for as long as it lives, so blocks come from a pool that nothing else uses: neither other work nor another
    program, which may keep what its first run makes, such as constants for its size of batch. The first run, on the
    stream of the capture, fills the pool, so that the capture asks the device for nothing.

    Arguments: workshop: Workshop. work: function without arguments.
    """

    def __init__(self, workshop, work):
        self.workshop, self.work = workshop, work
        self.pool, self.is_warm, self.graph = workshop.cuda.MemoryPool(), False, None

    def __call__(self):
        if self.is_warm and self.graph is None:
            self.graph = self.workshop.capture(self.work, self.pool)
        if self.graph is None:
            self.workshop.run(self.work, self.pool)
        else:
            self.graph.launch()
        self.is_warm = True
