"""`guide`: the pages about Canceller, on any machine where it is installed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from ...settings.problems import choices, suggestion
from ..guide_files import GUIDE, SCHEMAS
from ..options import Json
from ..output import Output

TOPICS = (
    "sending",
    "examples",
    "events",
    "sinks",
    "concepts",
    "escalation",
    "holds",
    "clean-ups",
    "evidence",
    "backends",
    "brokers",
    "settings",
    "operating",
    "monitoring",
    "board",
    "security",
    "simulator",
    "speed",
    "troubleshooting",
    "glossary",
)
"""The pages, in the order in which they are read."""
OPENING = re.compile(r"# (?P<title>.+)\n\n(?P<summary>.+)\n")
"""How each page begins: its title, and one line that says what it is about."""

LINK = re.compile(r"\[(?P<topic>[\w-]+)\]\((?P=topic)\.md\)")
"""A link to another page."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the guide; `summary` is its line that says what it is about.

    `for_terminal` is its text with the command that shows another page in place of each link to it.
    """

    topic: str
    text: str
    summary: str
    for_terminal: str


def page(topic: str) -> Page:
    """Read a page."""
    text = (GUIDE / f"{topic}.md").read_text(encoding="utf-8")
    opening = OPENING.match(text)
    assert opening is not None, topic  # noqa: S101 - a test reads every page
    return Page(topic, text, opening["summary"], LINK.sub(r"`canceller guide \g<topic>`", text))


def guide(
    topic: Annotated[str | None, typer.Argument(metavar="TOPIC", help="A page; without it, the list of pages.")] = None,
    *,
    schema: Annotated[
        str | None,
        typer.Option("--schema", metavar=f"[{'|'.join(SCHEMAS)}]", help="Show a published schema instead, as JSON."),
    ] = None,
    json: Json = False,
) -> None:
    """Show a page of the guide, or list the pages.

    On a terminal a page is formatted; in a pipe it is the Markdown file as it is.

    With --schema: the JSON Schema of commands, of events or of the backends file, or the AsyncAPI document.

    canceller guide sending

    canceller guide --schema commands > commands.schema.json
    """
    output = Output(as_json=json)
    if schema is not None:
        _schema(schema, topic, output)
        return
    if topic is None:
        _list(output)
        return
    if topic not in TOPICS:
        raise typer.BadParameter(f"{topic!r} is not {choices(TOPICS)}{suggestion(topic, TOPICS)}", param_hint="TOPIC")
    shown = page(topic)
    if output.json:
        output.object({"topic": topic, "text": shown.text})
    elif output.on_terminal:
        output.markdown(shown.for_terminal)
    else:
        output.verbatim(shown.text)


def _schema(name: str, topic: str | None, output: Output) -> None:
    if topic is not None:
        raise typer.BadParameter("give a page or a schema, not both", param_hint="--schema")
    if name not in SCHEMAS:
        raise typer.BadParameter(
            f"{name!r} is not {choices(SCHEMAS)}{suggestion(name, SCHEMAS)}", param_hint="--schema"
        )
    output.verbatim(SCHEMAS[name].read_text(encoding="utf-8"))


def _list(output: Output) -> None:
    pages = [page(topic) for topic in TOPICS]
    if output.json:
        for one in pages:
            output.object({"topic": one.topic, "summary": one.summary})
        return
    output.rows(("topic", "about"), [(one.topic, one.summary) for one in pages])
