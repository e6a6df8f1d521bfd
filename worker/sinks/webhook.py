"""Posts events as Standard Webhooks: one request per try, judged by the head of its reply; no redirect is followed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook as Signer

from ..domain.errors import CallUnanswered
from ..http.client import version
from ..http.tls import SYSTEM, Tls, tls_context
from ..http.transport import Call, Proxy, in_words
from ..http.transport_aiohttp import AiohttpTransport
from .receiver import Message
from .tries import Failure

STRONG = 24
"""The fewest bytes that a key may have (Standard Webhooks)."""
PREFIX = "whsec_"
IN_A_HEADER = re.compile(r"[!-~](?:[ -~]*[!-~])?")
"""What a header carries unchanged. Receivers read other characters in different ways, and would find that the signature
does not match, so an id that holds any is percent-encoded."""
REFUSALS = frozenset({
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
})  # fmt: skip
"""Statuses after which trying again is of no use, once they last."""


def signers(secret: str) -> Iterator[Signer]:
    """Return what signs with a secret.

    What follows `whsec_` is base64; any other secret is the key itself. The library would decode that one from base64
    as well: if that is possible, a second signature is for receivers that pass the secret to the library as a text.
    """
    if secret.startswith(PREFIX):
        yield Signer(secret)
        return
    yield Signer(secret.encode())
    try:
        key = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return
    if len(key) >= STRONG:
        yield Signer(key)


class Webhook:
    """Posts to one URL; `secrets` are one, or two while one replaces the other."""

    at_once = 1

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        *,
        timeout: float = 10.0,
        max_in_flight: int = 64,
        tls: Tls = SYSTEM,
        proxy: Proxy | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.max_in_flight = max_in_flight
        self._url = url
        self._signers = [signer for secret in secrets for signer in signers(secret)]
        self._timeout = timeout
        self._tls = tls
        self._wire = AiohttpTransport(tls, proxy)
        self.aclose = self._wire.aclose
        self._now = now
        self._always = {
            "Content-Type": "application/cloudevents+json",
            "Accept": "*/*",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": f"canceller/{version()}",
        }

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure | None]:
        """Post an event; any 2xx says that it has arrived, whatever follows in its body."""
        ((event_id, body),) = messages
        at, text = self._now(), body.decode()
        name = event_id if IN_A_HEADER.fullmatch(event_id) else quote(event_id, safe="")
        signatures = [signer.sign(name, at, text) for signer in self._signers]
        headers = {
            **self._always,
            "webhook-id": name,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        try:
            reply = await self._wire.exchange_head(Call("POST", self._url, headers, body), self._timeout)
        except TimeoutError:
            return [Failure(f"no answer within {self._timeout:g} s")]
        except CallUnanswered as error:
            return [Failure(str(error))]
        except Exception as error:  # noqa: BLE001 - whatever a wire meets; its text may hold what was sent
            return [Failure(in_words(type(error).__name__))]
        if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            return [None]
        wait = replace(reply, received=at).retry_after
        reason = f"it answered {reply.status}"
        if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
            reason += "; redirects are not followed: give the sink the URL that it leads to"
        return [Failure(reason, refused=reply.status in REFUSALS, retry_after=wait)]

    async def reach(self) -> str:
        """Open a connection, with TLS if the URL says so, and close it; with a proxy, only the proxy is reached."""
        parts = urlsplit(f"http://{self._wire.through}" if self._wire.through else self._url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        context = tls_context(self._tls) if parts.scheme == "https" else None
        try:
            async with asyncio.timeout(self._timeout):
                _, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
        except TimeoutError:
            raise CallUnanswered(f"no connection within {self._timeout:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise CallUnanswered(f"its certificate is not trusted: {error.verify_message}") from error
        except (OSError, UnicodeError) as error:
            raise CallUnanswered(
                f"no connection: {getattr(error, 'strerror', None) or type(error).__name__}"
            ) from error
        writer.close()
        if self._wire.through:
            return f"its proxy {self._wire.through} accepts connections; the receiver behind it was not tried"
        return "it accepts connections" + (", and its certificate is trusted" if context else "")
