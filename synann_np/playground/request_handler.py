"""One connection: checks who asks and how much is sent, then answers with a file, JSON, or the stream of news."""

import hmac
import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..data import DataError
from ..programs.digits.photo_file import PhotoError
from .requested import RequestError
from .routes import NETWORK, ROUTES
from .training_run import Busy

NEWS_INTERVAL = 0.08  # seconds between two messages: no screen needs more
HEARTBEAT = 2.0
HEADERS = {
    # Nothing from elsewhere. 'unsafe-eval' is for Playwright, whose wait_for_function evaluates text in the page; the
    # page's own scripts turn no text into code or HTML, which a test checks.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """status, text: the request is not answered."""


class RequestHandler(BaseHTTPRequestHandler):
    """GET: the files of the page and /events. POST: ROUTES."""

    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a connection may be silent
    server_version, sys_version = "synann", ""

    def do_GET(self) -> None:
        """A file of the page, or the stream of news."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """One of ROUTES."""
        self._answer(self._post)

    def log_message(self, *arguments: Any) -> None:
        """Requests are not printed."""

    def _answer(self, method):
        try:
            self._check_host()
            method(urlsplit(self.path))
        except Refused as refusal:
            self.close_connection = True  # its body may be unread
            self._send_json(refusal.args[0], {"error": refusal.args[1]})
        except (BrokenPipeError, ConnectionError, TimeoutError):
            self.close_connection = True

    def _get(self, url):
        if url.path == "/events":
            query = parse_qs(url.query)
            self._check_token(query.get("token", [""])[0])
            self._stream()
        elif url.path in self.server.files:
            kind, content = self.server.files[url.path]
            self._send(200, kind, content)
        else:
            raise Refused(404, "there is no such page")

    def _post(self, url):
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise Refused(403, "requests of other pages are refused")
        self._check_token(self.headers.get("X-Synann-Token", ""))
        if url.path not in ROUTES:
            raise Refused(404, "there is no such request")
        answer, limit = ROUTES[url.path]
        body = self._body(limit)
        network = parse_qs(url.query).get("network", ["trained"])[0]
        if network not in NETWORK:
            raise Refused(400, f"network: expected one of {', '.join(NETWORK)}")
        try:
            status, value = 200, answer(self.server, body, network)
        except (RequestError, PhotoError, DataError) as error:
            status, value = 400, {"error": str(error)}
        except Busy as error:
            status, value = 409, {"error": str(error)}
        except Exception as error:  # a fault of ours: told on the terminal, and the page goes on
            traceback.print_exc(file=sys.stderr)
            status, value = 500, {"error": f"{type(error).__name__}: {error}"}
        self._send_json(status, value)

    def _check_host(self):
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(403, f"open {self.server.address}")

    def _check_token(self, shown):
        if not hmac.compare_digest(shown.encode(), self.server.token.encode()):
            raise Refused(403, "reload the page: the server was started again since it was opened")

    def _body(self, limit):
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            raise Refused(411, "expected a Content-Length")
        if len(length) > 12 or int(length) > limit:
            raise Refused(413, f"expected at most {limit:,} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionError("the request ended early")
        return body

    def _stream(self):
        """Server-sent events, until the page or the server closes."""
        self.close_connection = True
        self._send_headers(200, "text/event-stream")
        run = have = 0
        while not self.server.closing.wait(NEWS_INTERVAL):
            news = self.server.training.news(run, have, HEARTBEAT)
            run, have = news["run"], news["version"]
            self.wfile.write(f"data: {_json(news)}\n\n".encode())

    def _send_json(self, status, value):
        self._send(status, "application/json", _json(value).encode())

    def _send(self, status, kind, content):
        self._send_headers(status, kind, len(content))
        self.wfile.write(content)

    def _send_headers(self, status, kind, length=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()


def _json(value):
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
