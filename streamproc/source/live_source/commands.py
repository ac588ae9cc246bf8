"""`python -m streamproc sources list | check | watch`: the named sources, and a look at one camera.

check and watch read the source from stdin, one line: a name of `FRAMEWIRE_SOURCES`, with or without
`camera:`, or a URL of RTSP, RTMP or HTTP. So a URL never appears in an argument list. Exit codes: 0
done, 1 the camera cannot be used, 2 wrong usage or settings.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from random import SystemRandom
from typing import Any, Final

import msgspec

from streamproc.clients.settings import read_path
from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.settings import read_source_settings
from streamproc.source.errors import SourceError, SourceForbiddenError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.address import parse
from streamproc.source.live.hls.place import Place
from streamproc.source.live.named_sources import SCHEME, Camera, NamedSource, load_sources
from streamproc.source.live.reconnect import Reconnects
from streamproc.source.live.rtsp.url import MAX_CHARACTERS
from streamproc.source.live.stream import LiveStream
from streamproc.source.live.trial import TrialReport, try_source
from streamproc.source.live.watch import watched_lines
from streamproc.source.live_source.decoder import decoded_size
from streamproc.source.sandbox import decoder_client

MAX_CHECK_S: Final = 600.0
MAX_WATCH_S: Final = 30 * 86_400.0
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
            asked = _asked(line.strip(), sources, os.environ, arguments.transport)
            if arguments.command == "watch":
                return _watch(asked, arguments.seconds, as_json=arguments.json)
            output = _checked(asked, arguments.seconds, as_json=arguments.json)
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


def _asked(
    line: str,
    sources: Mapping[str, NamedSource],
    environ: Mapping[str, str],
    transport: str | None,
) -> Camera:
    """Return the camera that a URL or a name means. Raises `UsageError` or `SettingError`."""
    policy = FetchPolicy.of(read_source_settings(environ))
    if "://" in line:
        try:
            url, credentials = parse(line)
        except ValueError as exc:
            raise UsageError(str(exc)) from exc
        return Camera(url, credentials, policy, transport == "udp")
    source = sources.get(line.removeprefix(SCHEME))
    if source is None:
        raise UsageError(_unknown(line, sources))
    is_udp = (transport or source.transport) == "udp"
    login = source.credentials(environ)
    return Camera(source.address, login, source.policy(policy), is_udp, source.name)


def _checked(asked: Camera, seconds: float, *, as_json: bool) -> str:
    decoder_client.prepare()
    report, keyframe = try_source(asked, watch_s=seconds)
    size = decoded_size(report.codec, keyframe.data, asked.policy)
    report = msgspec.structs.replace(report, decoded_size=size)
    if as_json:
        return msgspec.json.encode(report).decode() + "\n"
    return _shown(report)


def _watch(asked: Camera, seconds: float, *, as_json: bool) -> int:
    """Print lines until the time is over. Return 1 if the source ended before."""
    interrupt = Interrupt()
    over = threading.Timer(seconds, interrupt.set)
    over.daemon = True
    started_s = time.monotonic()
    stream = LiveStream(
        partial(asked.open, interrupt, Place()),
        Reconnects(started_s, give_up_s=None, random=SystemRandom().random),
        interrupt,
    )
    over.start()
    try:
        for line in watched_lines(stream, started_s + seconds):
            now_s = time.time()
            sys.stdout.write((line.as_json(now_s) if as_json else line.shown(now_s)) + "\n")
            sys.stdout.flush()
    except SourceError:
        return 1
    finally:
        over.cancel()
    return 0


def _unknown(asked: str, sources: Mapping[str, NamedSource]) -> str:
    known = ", ".join(list(sources)[:10]) or "none"
    name = asked.removeprefix(SCHEME)[:63]
    shown = f"no source is named {name}" if name.isprintable() and name else "no source was named"
    return f"{shown}; there are: {known}"


def _shown(report: TrialReport) -> str:
    size = f", {report.width} x {report.height}" if report.width is not None else ""
    decoded = "nothing" if report.decoded_size is None else "{} x {}".format(*report.decoded_size)
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
        "decoded": f"a keyframe, {decoded}",
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
    watch = commands.add_parser("watch")
    for command in (listing, check, watch):
        command.add_argument("--json", action="store_true")
    for command in (check, watch):
        command.add_argument("--transport", choices=["tcp", "udp"])
    check.add_argument("--seconds", type=partial(_seconds, MAX_CHECK_S), default=5.0)
    watch.add_argument("--seconds", type=partial(_seconds, MAX_WATCH_S), default=MAX_WATCH_S)
    return parser


def _seconds(most_s: float, text: str) -> float:
    value = float(text)
    if not 0 < value <= most_s:
        raise argparse.ArgumentTypeError(f"between 0 and {most_s:g}")
    return value
