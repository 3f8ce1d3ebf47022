"""The server: this computer only, one page, and no other page may drive it.

A page of another site can send requests to 127.0.0.1, or let its own name point there. So every request must name this
server in its Host header, and all but those for the page's files must show the token that is written in the page, which
other sites cannot read; requests that change anything must also come from this page's own origin.
"""

import secrets
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import Any

from .page_files import page_files
from .request_handler import RequestHandler

MOST_CONNECTIONS = 64


class PlaygroundServer(ThreadingHTTPServer):
    """Serves one Networks, one DataSet and one TrainingRun on 127.0.0.1.

    Arguments: port: 0 takes a free one.

    Attributes: address: of the page. hosts: what a Host header may be. closing: an Event, set when the server ends.

    Raises: OSError: the port is taken.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, port: int, networks: Any, data_set: Any, training: Any) -> None:
        self.networks, self.data_set, self.training = networks, data_set, training
        self.token = secrets.token_urlsafe(24)
        self.files = page_files(self.token)
        self.closing = threading.Event()
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(("127.0.0.1", port), RequestHandler)
        names = ("127.0.0.1", "localhost")
        self.hosts = {f"{name}:{self.server_port}" for name in names} | set(names if self.server_port == 80 else ())
        self.address = f"http://127.0.0.1:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own; connections beyond MOST_CONNECTIONS are closed at once."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread's work."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is not worth a traceback."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Close the port, and end the streams of news."""
        self.closing.set()
        super().server_close()
