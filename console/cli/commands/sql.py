"""`framewire sql`: read-only queries."""

import sys

import click

from console.cli.commands.options import asks_api
from console.cli.terminal import Terminal
from console.client import calls


@click.command
@click.argument("query")
@asks_api
def sql(terminal: Terminal, query: str) -> None:
    """Run one read-only query in ClickHouse (needs the operator's key); `-` reads it from stdin.

    `framewire sql "select class, count() from tracks group by class"`
    """
    answer = terminal.send(calls.sql(sys.stdin.read() if query == "-" else query), admin=True)
    if terminal.as_json:
        terminal.show(answer)
        return
    terminal.table(answer.columns, answer.rows, exact=True)
    if answer.truncated:
        terminal.note(f"the first {len(answer.rows)} rows: the rest was left out")
