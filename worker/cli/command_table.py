"""The table of commands. It loads none of them: each takes a while, and shell completion only needs their names."""

from __future__ import annotations

JOBS, OPERATORS, RUNNING = "Jobs", "Operators", "Running it"
COMMANDS = (
    (JOBS, "cancel", "commands.send", "cancel"),
    (JOBS, "delete", "commands.send", "delete"),
    (JOBS, "status", "commands.show", "status"),
    (JOBS, "wait", "commands.show", "wait"),
    (JOBS, "list", "commands.show", "list_"),
    (JOBS, "why", "commands.why", "why"),
    (JOBS, "batch", "batch.app", "app"),
    (JOBS, "events", "commands.events", "events"),
    (OPERATORS, "abort", "commands.operate", "abort"),
    (OPERATORS, "attest", "commands.operate", "attest"),
    (OPERATORS, "hold", "commands.operate", "hold"),
    (OPERATORS, "release", "commands.operate", "release"),
    (OPERATORS, "board", "commands.board", "board"),
    (OPERATORS, "check", "commands.check", "check"),
    (OPERATORS, "sinks", "commands.sinks", "sinks"),
    (OPERATORS, "dead-letters", "commands.dead_letters", "app"),
    (RUNNING, "demo", "demo.play", "demo"),
    (RUNNING, "dev", "dev.play", "dev"),
    (RUNNING, "init", "commands.init", "init"),
    (RUNNING, "up", "commands.up", "up"),
    (RUNNING, "exporter", "commands.exporter", "exporter"),
    (RUNNING, "simulator", "commands.simulator", "simulator"),
    (RUNNING, "guide", "commands.guide", "guide"),
    (RUNNING, "completion", "commands.completion", "completion"),
)
"""Each command's panel in the help, its name, its module here, and the name in that module that runs it."""
