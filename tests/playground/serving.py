"""What the tests of the playground share: images to train on, requests, waiting for the training."""

import json
import time
from http.client import HTTPConnection

from stripes import stripes
from synann_np.playground.data_set import DataSet


class Stripes(DataSet):
    """Images that a network learns in a few steps."""

    def arrays(self):
        return *stripes(2000, seed=1), *stripes(500, seed=2)


class Client:
    """Requests as the page makes them, and as it never would."""

    def __init__(self, server):
        self.server = server
        self.host = f"127.0.0.1:{server.server_port}"

    def request(self, method, path, body=None, **headers):
        """status, headers, content. None as a header leaves it out."""
        headers = {"Host": self.host, "X-Synann-Token": self.server.token} | headers
        connection = HTTPConnection("127.0.0.1", self.server.server_port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if body is not None and "Content-Length" not in headers:
                headers["Content-Length"] = str(len(body))
            for name, value in headers.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def ask(self, path, value=None, **headers):
        """status and JSON of a request of the page."""
        body = value if isinstance(value, bytes) else json.dumps(value or {}).encode()
        status, _, content = self.request("POST", path, body, **headers)
        return status, json.loads(content)


def news_until(run, condition, seconds=30):
    """Follow the news of a TrainingRun until condition(news), as the page does; all records on the way."""
    end, seen, number, have = time.monotonic() + seconds, [], 0, 0
    while time.monotonic() < end:
        news = run.news(number, have, timeout=1.0)
        if news["run"] != number:
            seen = []
        number, have = news["run"], news["version"]
        seen += news["records"]
        if condition(news):
            return news, seen
    raise AssertionError(f"still {news['state']}: {news['message']}")
