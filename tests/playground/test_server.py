"""The server answers its own page, and nobody else."""

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import synann_np.playground
from synann_np.models import MODELS
from synann_np.playground.page_files import FOLDER, NAMES
from synann_np.playground.routes import PAD, ROUTES, SMALL

ROOT = Path(synann_np.playground.__file__).parents[2]


def test_the_page_and_its_files_are_served_with_strict_headers(client):
    for name in NAMES:
        status, headers, content = client.get("/" if name == "index.html" else f"/{name}")
        assert status == 200
        assert content.replace(client.server.token.encode(), b"{token}") == (FOLDER / name).read_bytes()
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


def test_the_page_offers_every_network():
    script = (FOLDER / "train.js").read_text(encoding="utf-8")
    listed = re.search(r"const MODELS = \{(.*?)\};", script, re.DOTALL).group(1)
    assert set(re.findall(r"^  (\w+): \"", listed, re.MULTILINE)) == set(MODELS)


def test_every_file_of_the_page_is_listed_and_loads_nothing_from_elsewhere():
    assert sorted(NAMES) == sorted(path.name for path in FOLDER.iterdir())
    for name in NAMES:
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", (FOLDER / name).read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org"}, name  # the name of SVG's language, never loaded


def test_scripts_turn_no_text_into_code_or_html():
    """The policy allows eval, for tools that test the page; so nothing of the page may use it."""
    calls = r"\beval\b|\bFunction\(|document\.write|createContextualFragment|set(Timeout|Interval)\(\s*[\"'`]"
    makers = rf"{calls}|innerHTML|outerHTML|insertAdjacentHTML"
    for path in FOLDER.glob("*.js"):
        assert not re.search(makers, path.read_text(encoding="utf-8")), path.name


def test_scripts_import_only_files_that_are_served():
    for path in FOLDER.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")):
            assert name in NAMES, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    "path",
    [
        "/../program.py", "/static/../server.py", "/%2e%2e/server.py", "/..%2f..%2fetc/passwd", "//etc/passwd",
        "/index.html", "/page.js/", "/.", "/style.css%00.js", "http://127.0.0.1/../setup.cfg", "/" + "a" * 9000,
    ],
)  # fmt: skip
def test_nothing_else_is_served(client, path):
    assert client.get(path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.evil.example", "", None])
def test_another_host_is_refused(client, host):
    """DNS rebinding: a name of another site that leads here."""
    assert client.get("/", Host=host)[0] == 403
    assert client.ask("/api/about", Host=host)[0] == 403


def test_localhost_is_this_computer_too(client):
    assert client.get("/", Host=f"localhost:{client.server.server_port}")[0] == 200


@pytest.mark.parametrize("token", [None, "", "guess", "ü"])
def test_requests_without_the_token_are_refused(client, token):
    headers = {"X-Synann-Token": token and token.encode("latin-1")}
    assert client.ask("/api/train", {"action": "start"}, **headers)[0] == 403
    assert client.get("/events", **headers)[0] == 403
    assert client.server.training.news(timeout=0)["state"] == "idle"


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "null", "file://"])
def test_requests_of_other_origins_are_refused_even_with_the_token(client, origin):
    assert client.ask("/api/about", Origin=origin)[0] == 403


def test_requests_of_this_page_are_answered(client):
    status, about = client.ask("/api/about", Origin=f"http://{client.host}")
    assert status == 200
    assert next(recipe["recipe"] for recipe in about["recipes"]) == "quick"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD"])
def test_other_methods_are_refused(client, method):
    assert client.request(method, "/api/train")[0] == 501


@pytest.mark.parametrize(
    ("length", "status"),
    [(None, 411), ("-1", 411), ("many", 411), (str(SMALL + 1), 413), ("9" * 30, 413)],
)
def test_bodies_have_a_length_and_a_limit(client, length, status):
    """Refused by the header, before anything is read."""
    headers = {"Content-Length": length}
    assert client.request("POST", "/api/flip", **headers)[0] == status


def test_a_chunked_body_is_refused(client):
    assert (
        client.request("POST", "/api/flip", None, **{"Transfer-Encoding": "chunked", "Content-Length": "2"})[0] == 411
    )


def test_every_request_has_a_limit_of_at_most_a_photograph():
    assert all(limit <= 12_000_000 for _, limit in ROUTES.values())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 9000, b'{"action": 1}', b'{"action": "x"}']
)
def test_what_is_no_request_is_refused_with_a_reason(client, body):
    status, answer = client.ask("/api/train", body or b" ")
    assert status == 400
    assert answer["error"]


def test_a_drawing_has_one_size(client):
    assert client.ask("/api/draw", bytes(10))[0] == 400
    assert client.ask("/api/draw", bytes(PAD * PAD + 1))[0] == 413
    assert client.ask("/api/draw", bytes(PAD * PAD)) == (400, {"error": "nothing is drawn"})


def test_requests_at_the_same_time_are_all_answered(client):
    ink = bytearray(PAD * PAD)
    for row in range(20, 120):
        ink[row * PAD + 68 : row * PAD + 76] = b"\xff" * 8  # a one

    def look(_):
        return client.ask("/api/draw", bytes(ink))

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(look, range(36)))
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0][0], answers[0][1]["answer"]) == (200, 1)


@pytest.mark.parametrize("server", [2], indirect=True)
def test_connections_beyond_the_limit_are_closed(server):
    idle = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(2)]
    try:
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as third:
            assert third.recv(1) == b""
    finally:
        for connection in idle:
            connection.close()


def test_the_stream_sends_the_news_and_ends_with_the_server(server, client):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as stream:
        stream.sendall(f"GET /events?token={server.token} HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode())
        received = stream.makefile("rb")
        line = next(line for line in received if line.startswith(b"data: "))
        assert json.loads(line.removeprefix(b"data: "))["state"] == "idle"
        server.closing.set()
        server.training.note({"kind": "batch", "step": 1}, {})  # wakes it; a heartbeat would too
        assert all(line in (b"\n",) or line.startswith(b"data: ") for line in received)  # and then it ends


def test_a_fault_of_ours_is_told_and_the_server_goes_on(client, monkeypatch, capsys):
    monkeypatch.setitem(ROUTES, "/api/about", (lambda *_: 1 / 0, SMALL))
    assert client.ask("/api/about") == (500, {"error": "ZeroDivisionError: division by zero"})
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert client.get("/")[0] == 200
