"""The environment of this process, and the env file that is read before it.

Loads nothing else of this package, and no library: completion of the command line reads it too.
"""

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from .errors import ConfigurationError

ENV_FILE: Final = "CANCELLER_ENV_FILE"
"""The variable that names the file."""

DEPLOYMENT: Final = ("CANCELLER_", "REDIS_URL", "CELERY")
"""The prefixes of the variables that lead to a deployment."""

_HEAD: Final = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[^\n=]*?)[ \t]*=[ \t]*")
_QUOTED: Final = re.compile(
    r"""(?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)")[ \t]*(?P<rest>[^\n]*)""", re.DOTALL
)
_COMMENT: Final = re.compile(r"(?:^|[ \t]+)#.*|[ \t]+$")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEHIND: Final = 'something follows the closing quote: escape quotes inside the value as \\"'
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def process_environment() -> Mapping[str, str]:
    """Return the environment of this process, for callers that were given none, completed by its env file.

    Raises:
        ConfigurationError: CANCELLER_ENV_FILE names a file with mistakes; each is listed with its line.

    """
    file = os.environ.get(ENV_FILE)
    if not file:
        return os.environ
    merged = {**_content(file), **os.environ}
    del merged[ENV_FILE]  # a child process gets the variables of the file, and need not find the file
    return merged


@cache
def _content(file: str) -> Mapping[str, str]:
    """Read a file once: all parts of a process see the same."""
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        problem = "no such file (`canceller dev` removes its own when it ends)"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    except (OSError, RuntimeError) as error:
        problem = f"can't be read ({getattr(error, 'strerror', None) or 'no home directory is known'})"
    else:
        return env_variables(text, file)
    raise ConfigurationError([f"{ENV_FILE}: {file}: {problem}: name a file of lines NAME=VALUE, or unset it"])


def env_variables(text: str, source: str) -> Mapping[str, str]:
    """Read lines `NAME=VALUE`, as a shell would but without replacing `$` in values.

    An `export` in front and `#` comments are understood. In quotes a value may have several lines; in double quotes a
    backslash escapes the next character.

    Raises:
        ConfigurationError: Lists every mistake by `source` and line, without the line's content.

    """
    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[str] = []
    for line, name, value in _entries(text.replace("\r\n", "\n")):
        problem = value if name is None else _problem(name, value, lines)
        if problem is None:
            lines[str(name)], found[str(name)] = line, str(value)
        else:
            problems.append(f"{source}:{line}: {problem}")
    if problems:
        raise ConfigurationError(problems)
    return found


def _entries(text: str) -> Iterator[tuple[int, str | None, str]]:
    """Yield for each entry its line, name and value; for one that can't be read, no name, and what is wrong."""
    position = 0
    while position < len(text):
        line, start = text.count("\n", 0, position) + 1, text[position:].partition("\n")[0]
        head, end = _HEAD.match(text, position), position + len(start)
        if head is None:
            if start.strip() and not start.lstrip().startswith("#"):
                yield line, None, "has no `=`: write NAME=VALUE"
        elif not start.lstrip().startswith("#"):
            quoted = _QUOTED.match(text, head.end())
            name = head["name"]
            if quoted is not None:
                end = quoted.end()
                yield (line, name, _unquoted(quoted)) if quoted["rest"][:1] in {"", "#"} else (line, None, _BEHIND)
            elif text[head.end() : head.end() + 1] in {"'", '"'}:
                yield line, None, "a quote is opened and not closed"
            else:
                yield line, name, _COMMENT.sub("", text[head.end() : end])
        position = end + 1


def _unquoted(quoted: re.Match[str]) -> str:
    if quoted["single"] is not None:
        return quoted["single"]
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), quoted["double"], flags=re.DOTALL)


def _problem(name: str, value: str, lines: Mapping[str, int]) -> str | None:
    """Say what is wrong with an entry. A value is never quoted; a name is quoted once it is known to be a name."""
    if not _NAME.fullmatch(name):
        return "what comes before the `=` is not a variable name: use letters, digits and _"
    if name == ENV_FILE:
        return f"{ENV_FILE}: an env file can't name another one"
    if name in lines:
        return f"{name} is set in line {lines[name]} already: remove one of them"
    return f"{name}: a variable can't hold a zero byte" if "\0" in value else None
