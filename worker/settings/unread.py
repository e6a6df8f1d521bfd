"""Variables that look like our settings, but that nothing reads."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from .env_file import ENV_FILE
from .environment import Settings

OURS = "CANCELLER_"
ELSEWHERE = frozenset({ENV_FILE})
"""Those that are read elsewhere."""
REMOVED = {"CANCELLER_TRANSPORT": "is no longer read: all calls are made by aiohttp; remove it"}
"""Those that older versions read, and what to do about them."""


def unread_variables(environ: Mapping[str, str]) -> list[str]:
    """Say, for each unread variable with our prefix, which setting may have been meant.

    A variable that the backends file mentions is left out: it holds a backend's secret.
    """
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    strange = sorted(name for name in environ if name.startswith(OURS) and name not in known | ELSEWHERE)
    return list(_problems(strange, known, _text(environ.get("CANCELLER_BACKENDS", "")))) if strange else []


def _problems(names: Iterable[str], known: set[str], backends: str) -> Iterator[str]:
    endings = [name.removeprefix(OURS) for name in known if name.startswith(OURS)]
    for name in names:
        if name in REMOVED:
            yield f"{name}: {REMOVED[name]}"
        elif name not in backends:
            # The shared prefix would make any two names look alike.
            close = get_close_matches(name.removeprefix(OURS), endings, n=1)
            yield f"{name}: is not read{f'; did you mean {OURS}{close[0]}?' if close else ''}"


def _text(backends: str) -> str:
    try:
        return Path(backends).expanduser().read_text(encoding="utf-8-sig") if backends else ""
    except (OSError, ValueError, RuntimeError):
        return ""
