"""A text reaches a terminal only through `worker/cli/output.py`, our standard streams or the logs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted(path for folder in ("worker",) for path in (ROOT / folder).rglob("*.py"))

WAYS = {
    "worker/cli/__init__.py": "its own version, before anything else is loaded",
    "worker/cli/output.py": "what commands write",
    "worker/observability/streams.py": "errors, and the streams themselves",
    "worker/observability/logs.py": "log lines, which worker/observability/log_visible.py and json_for make visible",
    "worker/observability/log_queue.py": "the lines of logs, once they are made",
    "worker/celery/worker_logs.py": "chooses where those lines go",
    "worker/sinks/stdout.py": "events, which visible_json makes visible",
    "worker/celery/patches.py": "Celery's own words about a signal",
    "worker/simulator/server.py": "one line with its own address; the simulator imports nothing of ours",
}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
WRITERS = {"print", "echo", "secho", "echo_via_pager", "print_exc", "print_exception", "print_stack", "print_json"}
"""Calls that write to a standard stream, of any module."""
TERMINALS = {1, 2, "/dev/tty", "/dev/stdout", "/dev/stderr"}
LIBRARIES = {"rich"}
"""Only imported in order to write."""


def ways(source: str) -> list[str]:
    """Return every way in which a module could write to a terminal."""
    nodes = list(ast.walk(ast.parse(source)))
    return sorted({way for node in nodes for way in (*_imported(node), *_used(node))})


def _imported(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (one.name for one in names if one.name.partition(".")[0] in LIBRARIES)
        case ast.ImportFrom(module=module, names=names):
            if str(module).partition(".")[0] in LIBRARIES:
                yield str(module)
            yield from (one.name for one in names if one.name in WRITERS)
            yield from (f"sys.{one.name}" for one in names if module == "sys" and one.name in STREAMS)


def _used(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr=name) if name in STREAMS:
            yield f"sys.{name}"
        case ast.Attribute(value=ast.Name(id="os"), attr="write" | "writev"):
            yield "os.write"
        case ast.Attribute(attr="StreamHandler" | "basicConfig" as name):
            yield name
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in WRITERS:
            yield name
        case ast.Call(func=ast.Name(id="open") | ast.Attribute(attr="fdopen" | "open"), args=[ast.Constant(first), *_]):
            if first in TERMINALS:
                yield "open"


def test_a_module_has_no_way_of_its_own_to_a_terminal() -> None:
    found = {str(path.relative_to(ROOT)): ways(path.read_text(encoding="utf-8")) for path in PRODUCT}

    assert not {path: its_ways for path, its_ways in found.items() if its_ways and path not in WAYS}


@pytest.mark.parametrize("path", WAYS)
def test_a_module_that_may_write_does(path: str) -> None:
    assert ways((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "way"),
    [
        ("print('x')", "print"),
        ("from builtins import print as say", "print"),
        ("list(map(print, texts))", "print"),
        ("typer.echo('x')", "echo"),
        ("click.secho('x')", "secho"),
        ("from typer import echo", "echo"),
        ("console.print('x')", "print"),
        ("output._out.print('x')", "print"),
        ("rich.print_json(x)", "print_json"),
        ("from rich import print as say", "rich"),
        ("from rich.console import Console", "rich.console"),
        ("import rich.live", "rich.live"),
        ("sys.stdout.write('x')", "sys.stdout"),
        ("sys.stderr.writelines(x)", "sys.stderr"),
        ("write = sys.__stdout__.write", "sys.__stdout__"),
        ("from sys import stderr", "sys.stderr"),
        ("traceback.print_exc()", "print_exc"),
        ("os.write(2, b'x')", "os.write"),
        ("open('/dev/tty', 'w')", "open"),
        ("os.fdopen(1)", "open"),
        ("logging.StreamHandler()", "StreamHandler"),
        ("logging.basicConfig()", "basicConfig"),
    ],
)
def test_a_way_is_found(source: str, way: str) -> None:
    assert way in ways(source)


@pytest.mark.parametrize(
    "source", ["output.line('x')", "sys.stdin.read()", "file.write('x')", "log.info('x')", "open('f', 'w')"]
)
def test_what_writes_elsewhere_is_none(source: str) -> None:
    assert not ways(source)
