"""Ctrl-C and SIGTERM as a wish to stop, not as an exception in the middle of a step."""

import signal
from typing import Any


class StopSignals:
    """While it is open, the first SIGINT or SIGTERM only sets `received` (the signal) and calls `notify` with it.

    A second Ctrl-C stops at once, as KeyboardInterrupt. On leaving, the handlers are as they were.

        with StopSignals() as stop:
            for record in run:
                if stop.received: ...

    Arguments: notify: function of a signal.Signals, called inside the handler.

    Handlers belong to the main thread: in any other this does nothing.
    """

    def __init__(self, notify: Any = lambda received: None) -> None:
        self.notify = notify
        self.received = None
        self.previous: dict[int, Any] = {}

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self.previous[number] = signal.signal(number, self._receive)
            except ValueError:  # not the main thread
                break
        return self

    def __exit__(self, *exception):
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _receive(self, number, frame):
        self.received = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.notify(self.received)
