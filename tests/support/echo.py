"""A backend and its token service that repeat everything they are sent, in six encodings, in every text of a reply."""

from __future__ import annotations

import base64
import html
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import quote

ENCODINGS: tuple[Callable[[str], str], ...] = (
    str,
    lambda text: quote(text, safe=""),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(f"{text}?".encode()).decode(),
    html.escape,
    lambda text: text.encode().hex(),
)
STATUSES = (200, 403, 302, 500, 404, 200, 429, 400, 401)
"""Its statuses, one after the other; every combination with an encoding occurs."""
TEXTS = (
    "title", "detail", "errorCode", "error", "error_code", "error_msg", "error_name", "error_message", "message",
    "state", "cause", "status", "job_state", "oozie_job_id", "return_code", "request_id", "job_result",
)  # fmt: skip
"""The fields of replies that reach an event, a log or a terminal."""


class Echo(ThreadingHTTPServer):
    """Keeps what it was shown; issues tokens of its own."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.turns = count()
        self.shown: list[str] = []
        self.issued: list[str] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def issue(self) -> str:
        self.issued.append(f"issued/token+{len(self.issued)}=of-the-service")
        return self.issued[-1]


class Handler(BaseHTTPRequestHandler):
    """Answers a request with itself."""

    protocol_version = "HTTP/1.1"
    server: Echo

    def log_message(self, *_: object) -> None:
        """Write nothing to a terminal."""

    def repeat(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        secret = {name: value for name, value in self.headers.items() if name.lower() in SHOWN}
        self.server.shown.append(f"{body} {secret}")
        if "token" in self.path and self.command == "POST":
            token = self.server.issue()
            lives = {"expires_in": 3600, "expiresIn": 3600}
            return self.answer(
                201, json.dumps({"access_token": token, "accessToken": token, **lives, "echo": body}), token
            )
        turn = next(self.server.turns)
        told = " ".join(self.encoded(turn, value) for value in secret.values())
        more = " ".join(ENCODINGS[turn % 6](text) for text in (body, self.path) if text)
        texts = dict.fromkeys(TEXTS, f"{told} {more}")
        job = self.path.rpartition("/")[2].partition("?")[0]
        whole = {**texts, "requestId": job, "id": job, "info": texts, "job_detail": texts, "headers": [told, more]}
        return self.answer(STATUSES[turn % len(STATUSES)], json.dumps(whole), told)

    do_GET = do_POST = do_PUT = do_DELETE = repeat  # noqa: N815 - the server's names

    def encoded(self, turn: int, value: str) -> str:
        """Repeat a header's value, or the part after its scheme."""
        encode = ENCODINGS[turn % 6]
        return f"{encode(value)} {encode(value.rpartition(' ')[2])}"

    def answer(self, status: int, body: str, told: str) -> None:
        self.send_response(status, f"told {told}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body.encode())))
        self.send_header("X-Subject-Token", told)
        self.send_header("Location", f"/moved/{told}")
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body.encode())


SHOWN = frozenset({"authorization", "x-auth-token", "x-api-key", "proxy-authorization"})


@contextmanager
def echo() -> Iterator[Echo]:
    """Run it; if used as a proxy for http:// URLs, it answers these requests itself."""
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(timeout=10)
