"""Credentials that ask a token endpoint, at the configured URL alone.

An endpoint that can't be reached, is overloaded (429, 5xx) or makes no sense is unavailable. One that answers 400, 401
or 403 is asked once more with the secrets read again; if it answers so again, it has refused. A refusal of the same
secrets is remembered for a moment, so that a thousand cancellations in a row do not try a wrong password two thousand
times. After an error with a `Retry-After`, whatever its status, the endpoint is not asked again before that time.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from abc import abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import quote_plus

import httpx

from ..backends.adapter import Reply
from ..domain.errors import CallUnanswered, CredentialRefused, CredentialUnavailable
from ..domain.polling import LONGEST_DELAY
from .blanking import blanked
from .credentials import Credential, Monotonic, Read, Token, basic, header_text, secret

REFUSALS = frozenset({400, 401, 403})
"""Statuses by which a token endpoint says that the secret is wrong (RFC 6749, 5.2: 400 and 401)."""
REFUSAL_HOLDS = 2.0
"""Seconds for which a refusal is remembered: any longer, and jobs would be refused after the account was fixed."""
MARGIN = 60.0
"""Seconds before its end at which a token is renewed (as dbt-oracle does for OML), at most a quarter of its life."""
DEFAULT_LIFE = 3600.0
"""Seconds that a token is taken to live when its endpoint doesn't say; a 401 corrects it."""
VERSION_PATH = re.compile(r"(?<=[^:/])/+(?:v3/*)?$")
"""What may follow the service's root in Keystone's address: slashes, and `/v3` as in OS_AUTH_URL."""
OML_TOKEN_PATH = "/omlusers/api/oauth2/v1/token"  # noqa: S105 - a path
"""Where Oracle ML's own token service is, below the base URL."""
OML_WINDOW = 8 * 3600.0
"""Seconds after its password grant in which an OML token may be refreshed (Oracle, OML REST: Authenticate)."""


@dataclass(frozen=True, slots=True)
class RememberedRefusal:
    """A refusal by a token endpoint: a digest of the request, and until when it is not sent again."""

    digest: bytes
    status: int
    until: float


@dataclass(frozen=True, slots=True)
class Grant:
    """A request for a token, and the secrets in it that no reply may repeat; user names may be repeated."""

    request: httpx.Request
    secrets: tuple[str, ...] = field(repr=False)


def digest(request: httpx.Request) -> bytes:
    """Identify a request by its secrets, without keeping them."""
    shown = request.headers.get("authorization", "").encode()
    return hashlib.sha256(shown + b"\n" + request.content).digest()


class TokenEndpoint(Credential):
    """Gets its tokens from a URL; `monotonic` measures their lives."""

    reply_fields: ClassVar[tuple[str, str]] = ("access_token", "expires_in")
    """Where a reply's body holds the token, and how many seconds it lives."""

    def __init__(self, url: str, *, monotonic: Monotonic = time.monotonic) -> None:
        super().__init__(monotonic=monotonic)
        self._url = url
        self._place = f"the token endpoint at {httpx.URL(url).netloc.decode('ascii')}"
        self._refusal: RememberedRefusal | None = None
        self._not_before = -math.inf

    async def _obtain(self, old: Token | None) -> Token:  # noqa: ARG002 - only OML renews from the old one
        """Send the secrets, and if they are refused, once more, read anew; never those that were refused just now."""
        refusal = self._refusal
        if not (refusal and self._monotonic() < refusal.until and digest(self._grant().request) == refusal.digest):
            for _ in range(2):
                since, grant = self._monotonic(), self._grant()
                reply = await self._ask(grant)
                if reply.ok:
                    return self._token_of(reply, since, grant.secrets)
            refusal = RememberedRefusal(digest(grant.request), reply.status, self._monotonic() + REFUSAL_HOLDS)
            self._refusal = refusal
        raise CredentialRefused(f"{self._place} refuses the credential: {refusal.status}")

    async def _ask(self, grant: Grant) -> Reply:
        """Return a success or a refusal; raises CredentialUnavailable for anything else."""
        if (left := self._not_before - self._monotonic()) > 0:
            raise CredentialUnavailable(f"{self._place} has asked us to wait for {math.ceil(left)} more seconds")
        try:
            reply = await self.fetch(grant.request)
        except CallUnanswered as error:
            raise CredentialUnavailable(f"the token endpoint gave no answer: {error}") from error
        if not reply.ok and reply.retry_after is not None:
            self._not_before = self._monotonic() + min(reply.retry_after, LONGEST_DELAY)
            raise CredentialUnavailable(f"{self._place} answered {reply.status} and asked us to wait")
        if not reply.ok and reply.status not in REFUSALS:
            raise CredentialUnavailable(f"{self._place} answered {reply.status}")
        return blanked(reply, grant.secrets)  # it keeps the token, which is what it is for

    def _token_of(self, reply: Reply, since: float, shown: tuple[str, ...]) -> Token:
        """Read the token from a success; `since` is when it was asked for, `shown` the secrets that it was asked with.

        Raises CredentialUnavailable if it holds none.
        """
        value, life = self._issued(reply)
        if not isinstance(value, str):
            raise CredentialUnavailable(f"{self._place} answered without a token")
        ends = since + life
        return Token(header_text(value), ends, ends - min(MARGIN, life / 4), shown)

    def _issued(self, reply: Reply) -> tuple[object, float]:
        """Return what a reply holds as a token, and how many seconds that lives."""
        token, life = ((reply.data or {}).get(name) for name in self.reply_fields)
        return token, seconds(life)

    @abstractmethod
    def _grant(self) -> Grant:
        """Build the request for a new token, with the secrets as they are now."""


class ClientCredentials(TokenEndpoint):
    """OAuth2 client credentials (RFC 6749, 4.4).

    The client authenticates by HTTP Basic or, with `client_auth = "post"`, in the form (2.3.1): some services do not
    decode the form-encoded pair in HTTP Basic, and so refuse a secret with `+`, `/` or `%` there.
    Oracle Fusion's identity domain: `/oauth2/v1/token`, scope `urn:opc:resource:fusion:<pod>:<product>/`.
    """

    def __init__(
        self,
        token_url: str,
        client_id: Read,
        client_secret: Read,
        *,
        scope: str | None = None,
        client_auth: Literal["basic", "post"] = "basic",
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        super().__init__(token_url, monotonic=monotonic)
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._client_auth = client_auth

    def _grant(self) -> Grant:
        client_id, client_secret = secret(self._client_id), secret(self._client_secret)
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        if self._client_auth == "post":
            form |= {"client_id": client_id, "client_secret": client_secret}
            return Grant(httpx.Request("POST", self._url, data=form), (client_secret,))
        pair = basic(quote_plus(client_id), quote_plus(client_secret))
        request = httpx.Request("POST", self._url, headers={"Authorization": f"Basic {pair}"}, data=form)
        return Grant(request, (client_secret, pair))


class Oml(TokenEndpoint):
    """Oracle Machine Learning: a password grant, then refreshes that send the old access token.

    There is no separate refresh token (SRC O8). A refused token is not refreshed: a revoked one
    can't be, so a 401 leads to the password grant at once.
    """

    reply_fields = ("accessToken", "expiresIn")

    def __init__(
        self, token_url: str, username: Read, password: Read, *, monotonic: Monotonic = time.monotonic
    ) -> None:
        super().__init__(token_url, monotonic=monotonic)
        self._username = username
        self._password = password
        self._window_ends = -math.inf

    async def _obtain(self, old: Token | None) -> Token:
        now = self._monotonic()
        if old and now < min(old.ends, self._window_ends):
            refresh = {"grant_type": "refresh_token", "token": old.value}
            reply = await self._ask(Grant(httpx.Request("POST", self._url, json=refresh), old.shown))
            if reply.ok:
                return self._token_of(reply, now, old.shown)
        token = await super()._obtain(None)
        self._window_ends = now + OML_WINDOW
        return token

    def _grant(self) -> Grant:
        username, password = secret(self._username), secret(self._password)
        names = {"grant_type": "password", "username": username, "password": password}
        return Grant(httpx.Request("POST", self._url, json=names), (password,))


class Keystone(TokenEndpoint):
    """Keystone v3, and the IAM of MRS's clouds: tokens that are sent as `X-Auth-Token`.

    With a `project_id`, `name` and `password` are those of a user, and the project is the token's scope. Without one
    they are the id and the secret of an application credential, which has its own project as its scope: Keystone
    refuses a request that names a scope for it.
    `url` is the service's address, with or without `/v3`; `/v3/auth/tokens` is asked. The token comes in the header
    `X-Subject-Token`, its end as a time of the server's clock, which is compared with the same reply's `Date`
    (OpenStack Identity API v3).
    """

    header = "X-Auth-Token"
    scheme = ""

    def __init__(
        self,
        url: str,
        name: Read,
        password: Read,
        *,
        user_domain: str = "",
        project_id: str | None = None,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        super().__init__(VERSION_PATH.sub("", url) + "/v3/auth/tokens", monotonic=monotonic)
        self._name = name
        self._password = password
        self._user_domain = user_domain
        self._project_id = project_id

    def _grant(self) -> Grant:
        name, password = secret(self._name), secret(self._password)
        auth: dict[str, Any]
        if self._project_id is None:
            credential = {"id": name, "secret": password}
            auth = {"identity": {"methods": ["application_credential"], "application_credential": credential}}
        else:
            user = {"name": name, "password": password, "domain": {"name": self._user_domain}}
            identity = {"methods": ["password"], "password": {"user": user}}
            auth = {"identity": identity, "scope": {"project": {"id": self._project_id}}}
        return Grant(httpx.Request("POST", self._url, json={"auth": auth}), (password,))

    def _issued(self, reply: Reply) -> tuple[object, float]:
        """Return the token, and how many seconds it lives by the server's clock alone."""
        value = reply.headers.get("x-subject-token")
        token: Any = (reply.data or {}).get("token")
        try:
            ends = datetime.fromisoformat(token["expires_at"])
        except (TypeError, KeyError, ValueError):
            return value, DEFAULT_LIFE
        ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
        return value, seconds((ends - reply.date).total_seconds() if reply.date else None)


def seconds(value: object) -> float:
    """Read a token's life from a number or its text; return the default for anything that is not positive."""
    try:
        life = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return DEFAULT_LIFE
    return life if 0.0 < life < math.inf else DEFAULT_LIFE
