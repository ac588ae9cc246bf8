"""`framewire sources`: the cameras of FRAMEWIRE_SOURCES, and a trial of one.

The work is done by `python -m streamproc sources`, as a worker on this machine would do it.
"""

import click

from console.cli.durations import seconds as seconds_of
from console.cli.program import run_program
from console.cli.suggestions import SuggestingGroup
from console.exit_codes import ExitCode
from console.stack.installed import need_server

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=SuggestingGroup)
def sources() -> None:
    """List the named cameras; look at one."""


@sources.command("list")
@_JSON
def list_sources(*, as_json: bool) -> ExitCode:
    """List the cameras of FRAMEWIRE_SOURCES: no path and no login is shown."""
    need_server()
    options = ["--json"] if as_json else []
    return run_program("streamproc", ["sources", "list", *options], as_json=as_json)


_TRANSPORT = click.option(
    "--transport",
    type=click.Choice(["tcp", "udp"]),
    help="How it sends its video; by default as sources.toml says, else tcp.",
)


@sources.command("check")
@click.argument("source")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 600, min_open=True),
    default=5.0,
    show_default=True,
    help="How long to watch it after its first keyframe.",
)
@_TRANSPORT
@_JSON
def check(source: str, seconds: float, transport: str | None, *, as_json: bool) -> ExitCode:
    """Connect to a camera and say what it sends: codec, size, rate, keyframe interval, losses.

    SOURCE is a name of FRAMEWIRE_SOURCES (gate or camera:gate), an rtsp or rtsps URL, or - to read
    either from a line of stdin: other users of this machine can see what stands on a command line.
    """
    options = ["--seconds", f"{seconds:g}", *_options(transport, as_json=as_json)]
    return _look("check", source, options, as_json=as_json)


@sources.command("watch")
@click.argument("source")
@click.option(
    "--for",
    "duration",
    metavar="DURATION",
    help="How long to watch it: 90s, 15m, 8h, 30d; by default until Ctrl-C.",
)
@_TRANSPORT
@_JSON
def watch(source: str, duration: str | None, transport: str | None, *, as_json: bool) -> ExitCode:
    """Watch a camera for hours: a line for every loss, return, change of size and of clock.

    It is connected to again as a worker would do it. SOURCE is as for `check`. With --json each
    line is an object.
    """
    options = _options(transport, as_json=as_json)
    if duration is not None:
        options += ["--seconds", str(seconds_of(duration))]
    return _look("watch", source, options, as_json=False)


def _options(transport: str | None, *, as_json: bool) -> list[str]:
    chosen = [] if transport is None else ["--transport", transport]
    return [*chosen, "--json"] if as_json else chosen


def _look(command: str, source: str, options: list[str], *, as_json: bool) -> ExitCode:
    need_server()
    line = click.get_text_stream("stdin").readline() if source == "-" else source
    return run_program(
        "streamproc", ["sources", command, *options], as_json=as_json, line=line.strip()
    )
