"""The three token services: OML users, OAuth2 client credentials, Keystone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

from .clock import iso_utc
from .tokens import credentials, login_fits
from .wire import Reply, Route, System, json_reply

if TYPE_CHECKING:
    from .tokens import Token
    from .wire import Call
    from .world import World


def oml_token(world: World, call: Call) -> Reply:
    """Log in with a password, or exchange the old token (DOC O6, SRC O8: there is no separate refresh token)."""
    body, knobs = call.json(), world.knobs.oml
    if body.get("grant_type") == "refresh_token":
        return _oml_answer(world.tokens.refresh(str(body.get("token", "")), call.now, knobs.token_life), call)
    right = login_fits(str(body.get("username", "")), str(body.get("password", "")), knobs.username, knobs.password)
    if body.get("grant_type") != "password" or not right:
        return _oml_answer(None, call)
    window_ends = call.now + knobs.refresh_window
    return _oml_answer(world.tokens.issue("oml", call.now, knobs.token_life, window_ends=window_ends), call)


def _oml_answer(token: Token | None, call: Call) -> Reply:
    if token is None:
        return json_reply(401, {"errorMessage": "invalid credentials or token", "errorCode": 1002})
    life = int(token.expires_at - call.now)
    return json_reply(200, {"accessToken": token.value, "expiresIn": life, "tokenType": "Bearer"}, effect=True)


def oauth2_token(world: World, call: Call) -> Reply:
    """Issue a token for client credentials, sent as Basic or in the form (DOC E11, SRC E9)."""
    form, knobs = dict(parse_qsl(call.body.decode(errors="replace"))), world.knobs.ess
    pair = (form.get("client_id", ""), form.get("client_secret", ""))
    if basic := credentials(call):
        pair = (unquote_plus(basic[0]), unquote_plus(basic[1]))  # form-encoded inside the header (RFC 6749, 2.3.1)
    if form.get("grant_type") != "client_credentials":
        return json_reply(400, {"error": "unsupported_grant_type"})
    if not login_fits(*pair, knobs.username, knobs.password):
        return json_reply(401, {"error": "invalid_client"})
    token = world.tokens.issue("oauth2", call.now, knobs.token_life)
    return json_reply(
        200, {"access_token": token.value, "token_type": "Bearer", "expires_in": int(knobs.token_life)}, effect=True
    )


def keystone_token(world: World, call: Call) -> Reply:
    """Issue a token for a password, scoped to the project that is asked for, or for an application credential (DOC M4).

    An application credential already has a scope, and must not ask for one.
    """
    auth, knobs = _object(call.json(), "auth"), world.knobs.all
    user, application = (_object(auth, "identity", *one) for one in (("password", "user"), ("application_credential",)))
    pair = (application.get("id", ""), application.get("secret", ""))
    if not application:
        pair = (user.get("name", ""), user.get("password", ""))
    fits = login_fits(str(pair[0]), str(pair[1]), knobs.iam_username, knobs.iam_password)
    if not fits or (application and "scope" in auth):
        return refuse(world, call, 401, "The request you have made requires authentication.")
    project = _object(auth, "scope", "project")
    scope = str(project.get("id") or project.get("name") or "")
    token = world.tokens.issue("keystone", call.now, knobs.iam_token_life, project=scope)
    body = {
        "methods": ["application_credential" if application else "password"],
        "issued_at": iso_utc(call.now),
        "expires_at": iso_utc(token.expires_at),
        "project": {"id": scope, "name": scope},
        "user": {"name": user.get("name", "")},
    }
    return json_reply(201, {"token": body}, effect=True, headers={"X-Subject-Token": token.value})


def _object(value: dict[str, Any], *path: str) -> dict[str, Any]:
    for name in path:
        inner = value.get(name)
        value = inner if isinstance(inner, dict) else {}
    return value


def refuse(_world: World, _call: Call, http: int, text: str) -> Reply:
    """Word a refusal the way Keystone does."""
    return json_reply(http, {"error": {"code": http, "message": text}})


KEYSTONE_ROUTE = Route("POST", "v3/auth/tokens", "token", keystone_token)
OAUTH2_ROUTE = Route("POST", "oauth2/v1/token", "token", oauth2_token)
OML_ROUTE = Route("POST", "omlusers/api/oauth2/v1/token", "token", oml_token)

IAM = System("iam", (KEYSTONE_ROUTE,), refuse)
