"""Who may use the board: the token that it asks for, and the host names under which it may be reached."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from .environment import Settings
from .errors import ConfigurationError
from .secret import Secret

SHORTEST: Final = 16
"""The fewest characters of a token: it is all that stands between a network and the operators' actions."""
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True)
class BoardAccess:
    """The token (None if the board asks for none), and the allowed host names besides those of loopback."""

    token: str | None = field(repr=False)
    hosts: tuple[str, ...] = ()


def board_access(settings: Settings) -> BoardAccess:
    """Read what the settings say of the board.

    Raises:
        ConfigurationError: The token can't be read, is too short or is given twice, or a host name is not valid.

    """
    hosts = tuple(name.strip() for name in settings.board_hosts.split(",") if name.strip())
    token, problems = None, list(_wrong_hosts(hosts))
    try:
        token = _token(settings)
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return BoardAccess(token, hosts)


def _wrong_hosts(hosts: tuple[str, ...]) -> Iterator[str]:
    for name in hosts:
        if not _HOST.fullmatch(name):
            yield f"CANCELLER_BOARD_HOSTS: {name!r} is not a host name: give names without scheme and port"


def _token(settings: Settings) -> str | None:
    variable, file = settings.board_token, settings.board_token_file
    if variable is not None and file is not None:
        raise ConfigurationError(["CANCELLER_BOARD_TOKEN: CANCELLER_BOARD_TOKEN_FILE is set too: set one of them"])
    if variable is None and file is None:
        return None
    place, token = "CANCELLER_BOARD_TOKEN: the variable", ""
    if variable is not None:
        token = variable.get_secret_value()
    else:
        place, secret = "CANCELLER_BOARD_TOKEN_FILE: the file", Secret("file", str(file))
        problem = secret.problem()
        if problem is not None:
            raise ConfigurationError([problem.replace(secret.place, place)])
        token = secret.read()
    if len(token.strip()) < SHORTEST:
        raise ConfigurationError([f"{place} must hold {SHORTEST} characters or more, such as `openssl rand -hex 32`"])
    return token.strip()
