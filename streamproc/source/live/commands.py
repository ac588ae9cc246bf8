"""`python -m streamproc sources list | check`: the named sources, and a trial of one camera.

check reads the source from stdin, one line: a name of `FRAMEWIRE_SOURCES`, with or without
`camera:`, or an rtsp or rtsps URL. So a URL never appears in an argument list. Exit codes: 0 done,
1 the camera cannot be used, 2 wrong usage or settings.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from streamproc.clients.settings import read_path
from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.settings import read_source_settings
from streamproc.source.errors import SourceError, SourceForbiddenError
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.named_sources import SCHEME, NamedSource, load_sources
from streamproc.source.live.rtsp.url import MAX_CHARACTERS, is_rtsp, parse
from streamproc.source.live.trial import TrialReport, try_source

MAX_WATCH_S: Final = 600.0
_SAME_S: Final = 0.05
_CODECS: Final = {"h264": "H.264", "hevc": "H.265", "mjpeg": "JPEG"}


_HINTS: Final[dict[type[SourceError], str]] = {
    SourceForbiddenError: f"; {env.PRIVATE_HOSTS} and {env.SOURCE_PORTS} say what is allowed",
}


class UsageError(ValueError):
    """What was asked for is not valid; the text never holds a URL."""


def main(argv: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        sources = load_sources(read_path(os.environ, env.SOURCES))
        if arguments.command == "list":
            output = _listed(sources, os.environ, as_json=arguments.json)
        else:
            line = sys.stdin.readline(MAX_CHARACTERS + 1)
            output = _checked(line.strip(), sources, os.environ, arguments)
    except (SettingError, UsageError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    except SourceError as exc:
        hint = _HINTS.get(type(exc), "")
        sys.stderr.write(f"{exc} ({exc.code}){hint}\n")
        return 1
    sys.stdout.write(output)
    return 0


def _listed(
    sources: Mapping[str, NamedSource], environ: Mapping[str, str], *, as_json: bool
) -> str:
    rows = [_row(source, environ) for source in sources.values()]
    if as_json:
        return json.dumps(rows) + "\n"
    if not rows:
        return f"no named sources: {env.SOURCES} names no file, or an empty one\n"
    header = ("NAME", "HOST", "TRANSPORT", "LOGIN", "PROJECTS")
    table = [header]
    for row in rows:
        missing = row["missing_variables"]
        login = f"{', '.join(missing)} not set" if missing else "yes" if row["login"] else "no"
        projects = "all" if row["projects"] is None else ", ".join(row["projects"]) or "none"
        table.append((row["name"], row["host"], row["transport"], login, projects))
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    return "".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in table
    )


def _row(source: NamedSource, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what may be shown of a source: of its URL, the scheme, the host and the port."""
    address = source.address
    return {
        "name": source.name,
        "host": f"{address.scheme}://{address.host}:{address.port}",
        "transport": source.transport,
        "login": source.user_env is not None,
        "missing_variables": source.missing_variables(environ),
        "projects": source.projects,
    }


def _checked(
    asked: str,
    sources: Mapping[str, NamedSource],
    environ: Mapping[str, str],
    arguments: argparse.Namespace,
) -> str:
    policy = FetchPolicy.of(read_source_settings(environ))
    transport = arguments.transport
    if "://" in asked:
        if not is_rtsp(asked):
            raise UsageError("only rtsp and rtsps URLs, and named sources, can be checked")
        try:
            url, credentials = parse(asked)
        except ValueError as exc:
            raise UsageError(str(exc)) from exc
    else:
        source = sources.get(asked.removeprefix(SCHEME))
        if source is None:
            raise UsageError(_unknown(asked, sources))
        url, credentials = source.address, source.credentials(environ)
        policy, transport = source.policy(policy), transport or source.transport
    report = try_source(
        url, credentials, policy, is_udp=transport == "udp", watch_s=arguments.seconds
    )
    if arguments.json:
        return msgspec.json.encode(report).decode() + "\n"
    return _shown(report)


def _unknown(asked: str, sources: Mapping[str, NamedSource]) -> str:
    known = ", ".join(list(sources)[:10]) or "none"
    name = asked.removeprefix(SCHEME)[:63]
    shown = f"no source is named {name}" if name.isprintable() and name else "no source was named"
    return f"{shown}; there are: {known}"


def _shown(report: TrialReport) -> str:
    size = f", {report.width} x {report.height}" if report.width is not None else ""
    declared = f", declared {report.declared_fps:g}" if report.declared_fps else ""
    interval = report.keyframe_interval_s
    tls = ", TLS" if report.is_tls else ""
    keyframes = (
        f"none but the first in {report.watched_s:.1f} s"
        if interval is None
        else f"every {interval:g} s"
    )
    damaged = f"{report.n_damaged} of {report.n_pictures} pictures"
    rows = {
        "host": f"{report.host} ({report.transport}{tls})",
        "video": f"{_CODECS[report.codec]}{size}",
        "rate": f"{report.fps:g} pictures/s{declared}, {report.bits_per_s / 1e6:.2f} Mbit/s",
        "keyframes": keyframes,
        "first picture": f"after {report.first_picture_s:.2f} s",
        "damaged": f"{damaged}; {report.n_lost_packets} packets lost",
        "clock": _clock(report),
        "other tracks": str(report.n_other_tracks),
    }
    return "".join(f"{name:<14} {value}\n" for name, value in rows.items())


def _clock(report: TrialReport) -> str:
    offset_s = report.clock_offset_s
    if offset_s is None:
        return "the camera tells no time"
    if abs(offset_s) < _SAME_S:
        return "agrees with this machine's"
    where = "ahead of" if offset_s > 0 else "behind"
    use = "" if report.has_usable_clock else "; too far to be used"
    return f"{abs(offset_s):.3f} s {where} this machine's{use}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m streamproc sources", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list")
    check = commands.add_parser("check")
    for command in (listing, check):
        command.add_argument("--json", action="store_true")
    check.add_argument("--seconds", type=_seconds, default=5.0)
    check.add_argument("--transport", choices=["tcp", "udp"])
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= MAX_WATCH_S:
        raise argparse.ArgumentTypeError(f"between 0 and {MAX_WATCH_S:g}")
    return value
