"""Receive webhooks: verify each, acknowledge it, and do something with its event."""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to an event that it takes; after any other answer, or none, it is sent again with the same id."""

    def do_POST(self) -> None:
        """Verify an event and take it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = Webhook(os.environ["BILLING_WEBHOOK_SECRET"]).verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(401)
        else:
            self.take(event)
            self.send_response(204)
        self.end_headers()

    def take(self, event: dict[str, Any]) -> None:
        """Print how a cancellation ended."""
        print(event["backend"], event["subject"], event.get("outcome"))


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", 8080), Receiver).serve_forever()
