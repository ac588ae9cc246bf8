"""The request of a pasted curl command. Pure: nothing is run, and no file is read.

It reads what shells and browsers write: quotes, continued lines, `-d` and its kin, `--json`, and
the form in which `console.client.curl` uploads a file.
"""

import re
import shlex
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from api.contract import paths

MAX_TEXT = 256 * 1024
"""Characters of a command; one that has a video in itself is longer."""
_CONTINUED = re.compile(r"\\\r?\n")
_DATA = ("-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json")
_WITH_VALUE = ("-H", "-X", "-o", "-u", "-A", "-m", "-x", "-b", "-e", "--header", "--request")
_UPLOAD = re.compile(r'(?<=")\$\(base64 (?:-w ?0 )?(?P<path>.+?)\)(?=")')


class CurlError(ValueError):
    """The text is no curl command that submits a video; the message says why."""


class CurlRequest(NamedTuple):
    """The body's JSON text; `upload` is the file whose bytes are its `data`, else None."""

    body: str
    upload: Path | None


def is_curl(text: str) -> bool:
    """Whether the text begins as a curl command, also behind a prompt."""
    return re.match(r"\s*(?:[$%#]\s+)?curl\s", text) is not None


def read_curl(text: str) -> CurlRequest:
    """Read the command; raises `CurlError`."""
    if len(text) > MAX_TEXT:
        raise CurlError(f"the command has more than {MAX_TEXT // 1024} KiB")
    try:
        words = shlex.split(_CONTINUED.sub(" ", text.strip().lstrip("$%# ")))
    except ValueError as exc:
        raise CurlError(f"the command is not whole: {str(exc).lower()}") from exc
    bodies, urls = _read_words(words[1:])
    if not any(urlsplit(url).path.rstrip("/") == paths.PROCESS for url in urls):
        raise CurlError(f"the command is not about {paths.PROCESS}")
    if not "".join(bodies):
        raise CurlError("the command has no body: -d is missing")
    return _with_upload("".join(bodies))


def _read_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the parts of the body, and the words that are no options."""
    bodies: list[str] = []
    urls: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word.startswith("<<<"):
            bodies.append(word.removeprefix("<<<") or next(rest, ""))
        elif word in _DATA or (equals and name in _DATA):
            bodies += _body(value if equals and word not in _DATA else next(rest, ""))
        elif word.startswith("-d") and not word.startswith("--"):
            bodies += _body(word.removeprefix("-d"))
        elif word == "--url":
            urls.append(next(rest, ""))
        elif word in _WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            urls.append(word)
    return bodies, urls


def _body(text: str) -> list[str]:
    if text in {"@-", "@/dev/stdin"}:  # it follows as <<<
        return []
    if text.startswith("@"):
        raise CurlError(f"its body is in the file {text[1:]}: paste the command with the body")
    return [text]


def _with_upload(body: str) -> CurlRequest:
    """Take the shell's command that inserts an uploaded file out of the body."""
    found = _UPLOAD.search(body)
    if found is None:
        return CurlRequest(body, None)
    try:
        (path,) = shlex.split(found["path"])
    except ValueError as exc:
        raise CurlError("the file of the upload cannot be read from the command") from exc
    return CurlRequest(body[: found.start()] + body[found.end() :], Path(path))
