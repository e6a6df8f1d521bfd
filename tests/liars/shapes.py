"""Ready-made replies: what gateways, firewalls, proxies and broken releases say instead of the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}
TEXT = {"content-type": "text/plain"}


@dataclass(frozen=True, slots=True)
class Told:
    """A reply as the product gets it; `delay` is in seconds."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0

    @property
    def data(self) -> Any:
        """The body as JSON, None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def saying(self, data: object) -> Told:
        """Return the same reply with another body."""
        return replace(self, body=json.dumps(data).encode())


def json_reply(status: int, data: object, **headers: str) -> Told:
    """Return a reply with a JSON body."""
    return Told(status, JSON | headers, json.dumps(data).encode())


PAGE = b"<html><head><title>403 Forbidden</title></head><body><center><h1>403 Forbidden</h1></center></body></html>"
LOGIN = b"<!doctype html><html><body><form action='/login'>Sign in to continue</form></body></html>"

GATEWAY_404 = (
    Told(404, TEXT, b"default backend - 404"),
    Told(404, TEXT, b"404 page not found\n"),
    Told(404),
    json_reply(404, {"message": "no Route matched with those values"}),
    json_reply(404, {"code": 404, "message": "HTTP 404 Not Found"}),
    Told(404, HTML, b"<html><head><title>404 Not Found</title></head></html>"),
    Told(410, TEXT, b"Gone"),
)
STANDARD_404 = (
    json_reply(404, {"type": "about:blank", "title": "Not Found", "status": 404}),
    json_reply(404, {"error_code": "APIG.0101", "error_msg": "The API does not exist or has not been published"}),
    json_reply(404, {"error_code": 404, "error_name": "ROUTE_UNKNOWN", "error_message": "no such route"}),
)
WALL = (
    Told(403, HTML, PAGE),
    json_reply(403, {"message": "Forbidden"}),
    Told(403, TEXT, b"Access denied by policy 117"),
    Told(401, HTML, PAGE.replace(b"403 Forbidden", b"401 Unauthorized")),
    Told(400, HTML, PAGE.replace(b"403 Forbidden", b"400 Bad Request")),
    *(Told(status, TEXT, b"no") for status in (405, 407, 413, 418, 421, 423, 425, 431)),
)
NOT_A_JOB = (
    json_reply(200, {"message": "scheduled maintenance"}),
    json_reply(200, {}),
    json_reply(200, {"status": "UP"}),
    json_reply(200, {"job_execution": {}}),
    json_reply(200, {"job_detail": {}}),
    json_reply(200, {"job": {}}),
    json_reply(200, {"state": None, "info": None}),
    json_reply(200, {"items": [], "count": 0}),
    json_reply(200, None),
    json_reply(200, []),
    json_reply(200, "ok"),
    Told(200),
    Told(204),
    Told(200, JSON, b")]}',\n"),
)
BUSY = (
    json_reply(503, {"message": "try again"}, **{"retry-after": "1"}),
    json_reply(429, {"message": "slow down"}, **{"retry-after": "1"}),
    Told(403, TEXT | {"retry-after": "1"}, b"rate limit"),
    Told(413, TEXT | {"retry-after": "1"}, b"too large for now"),
)
DOWN = (
    Told(500, HTML, PAGE),
    Told(502, HTML, PAGE),
    Told(503),
    Told(504, TEXT, b"upstream request timeout"),
    json_reply(500, {"error": "internal"}),
    json_reply(429, {"message": "slow down"}),
    Told(408),
)
NO_TOKEN = (
    Told(403, HTML, PAGE),
    Told(401, HTML, PAGE),
    Told(400, HTML, PAGE),
    json_reply(400, {"error": "temporarily_unavailable"}),
    json_reply(401, {"error": "invalid_client"}),
    Told(404, TEXT, b"not here"),
    Told(503),
    json_reply(200, {"message": "ok"}),
)
ERRORS: Mapping[str, object] = {
    "ess": {"title": "Scheduling sub-system error", "status": 500, "detail": "try again", "errorCode": "ESS-00500"},
    "oml": {"errorMessage": "the broker can't be reached", "errorCode": 1001, "request_id": "OML-1"},
    "mrs": {"error_code": "0162", "error_msg": "Failed to query the job."},
    "sahara": {"error_code": 500, "error_name": "INTERNAL_SERVER_ERROR", "error_message": "Internal Server Error"},
}
