"""What the console keeps between two starts, in `$XDG_STATE_HOME/framewire/state.json`."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from console.config.values import View

FILE_NAME = "state.json"
MAX_BYTES = 256 * 1024


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the console was left, and the saved views.

    The last theme, tab, columns, shares of the splitters (percent) and filters (`lists`, by tab);
    when alerts were last looked at (RFC 3339), by `Remembered.acknowledged`.
    """

    theme: str | None = None
    tab: str | None = None
    columns: dict[str, tuple[str, ...]] = {}
    splits: dict[str, float] = {}
    views: dict[str, View] = {}
    lists: dict[str, View] = {}
    acknowledged: dict[str, str] = {}


def state_path(environ: Mapping[str, str]) -> Path:
    """Return `$XDG_STATE_HOME/framewire/state.json`."""
    base = environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "framewire" / FILE_NAME


def read_state(path: Path) -> State:
    """Return what was kept; nothing if there is no file, or one that cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        return State() if len(data) > MAX_BYTES else decode_state(data)
    except (OSError, msgspec.DecodeError, RecursionError):
        return State()


def encode_state(state: State) -> bytes:
    """Return the file's content."""
    return msgspec.json.format(msgspec.json.encode(state), indent=1)


def decode_state(data: bytes) -> State:
    """Return what a file's content says; raises `msgspec.DecodeError`."""
    return msgspec.json.decode(data, type=State)


def write_state(path: Path, state: State) -> None:
    """Replace the file atomically; only this user can read it (0600). Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode_state(state))
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
