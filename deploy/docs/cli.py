"""Print docs/cli.md: the reference of the command line, made from its commands.

python deploy/docs/cli.py >docs/cli.md
"""

import inspect
import sys
from collections.abc import Iterator

import click

from console.cli.main import cli
from console.exit_codes import ExitCode

INTRODUCTION = """\
# The command line

Made from the commands by `deploy/docs/cli.py`; `framewire COMMAND --help` says the same.

Commands that ask the api use `FRAMEWIRE_URL` and `FRAMEWIRE_KEY`, else the local stack that runs;
the operator's commands use `FRAMEWIRE_ADMIN_KEY`. With `--show-request` they print the HTTP request
and send nothing. Results are written to stdout, everything else to stderr.

Every command takes `--json`: one line of JSON, or one for each chunk, task or line of a log (of
`framewire console` the URL of `--serve`). An error is then one line of JSON on stderr, too:

```json
{"error": {"code": "invalid_request", "exit_code": 2, "status": 422,
           "message": "--detect: unknown class 'pedestrain'; did you mean 'pedestrian'?",
           "errors": [{"field": "steps[0].parameters.classes[0]", "option": "--detect",
                       "message": "unknown class 'pedestrain'; did you mean 'pedestrian'?"}]}}
```

`status` and `errors` are there when the api refused the request. An api that is silent for 5 s is
told of on stderr (`{"notice": "…"}`); after 40 s the command ends with 3.
"""


def markdown() -> str:
    """Return the page: exit codes, then all commands in the order of the help."""
    parts = [INTRODUCTION, "## Exit codes\n", "| code | |", "|---|---|"]
    parts += [f"| {int(code)} | {code.meaning} |" for code in ExitCode]
    root = cli.make_context("framewire", [], resilient_parsing=True)
    parts += ["", "## Options before the command\n", *_options(root, "")]
    parts += ["For example: `framewire --context prod list`."]
    found = list(_commands(cli, root))
    parts += ["", "## Commands\n", "| command | |", "|---|---|"]
    parts += [
        f"| [`{context.command_path}`](#{_anchor(context.command_path)}) | {_first_line(context)} |"
        for context in found
    ]
    parts += ["", *("\n".join(_section(context)) for context in found)]
    return "\n".join(parts).rstrip() + "\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    """Yield a context for each command below the group that is not a group itself."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        below = command.make_context(name, [], parent=context, resilient_parsing=True)
        if isinstance(command, click.Group):
            yield from _commands(command, below)
        else:
            yield below


def _section(context: click.Context) -> Iterator[str]:
    command = context.command
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## {context.command_path}\n\n```\n{context.command_path} {usage}\n```\n"
    yield from (f"{text}\n" for text in _paragraphs(command.help or ""))
    yield from _options(context, "--help")


def _options(context: click.Context, left_out: str) -> Iterator[str]:
    """Yield the table of a command's own options but one; nothing if it has no other."""
    records = [
        record
        for param in context.command.get_params(context)
        if left_out not in param.opts and (record := param.get_help_record(context))
    ]
    if records:
        yield "| option | |\n|---|---|"
        for option, meaning in records:
            yield f"| `{_cell(option)}` | {_cell(meaning)} |"
        yield ""


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help; one that click does not fold is a block."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            block = paragraph.removeprefix("\b").strip()
            yield f"```\n{block}\n```"
        else:
            yield " ".join(paragraph.split())


def _first_line(context: click.Context) -> str:
    return next(_paragraphs(context.command.help or ""), "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _anchor(command: str) -> str:
    return command.replace(" ", "-")


if __name__ == "__main__":
    sys.stdout.write(markdown())
