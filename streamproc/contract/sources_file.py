"""`sources.toml`: cameras that tasks know by name, with credentials apart.

[[source]]
name = "gate"                            # "camera:gate"
url = "rtsp://192.168.40.17/h264"        # its host needs no entry in FRAMEWIRE_PRIVATE_HOSTS
user_env = "GATE_USER"                   # environment variables with the user name and password
password_env = "GATE_PASSWORD"
projects = ["shop"]                      # that may use it; without it, all
ca = "/etc/framewire/cameras.pem"        # certificate authorities for rtsps; without it, the usual
transport = "tcp"                        # or "udp"
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from streamproc.contract.live_url import is_camera_name
from streamproc.contract.setting_error import SettingError

MAX_FILE_BYTES: Final = 1 << 20
MAX_SOURCES: Final = 10_000
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class SourceEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the file. The repr shows its name only."""

    name: str
    url: str
    user_env: str | None = None
    password_env: str | None = None
    projects: tuple[str, ...] | None = None
    ca: str | None = None
    transport: Literal["tcp", "udp"] = "tcp"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables with its login."""
        return tuple(name for name in (self.user_env, self.password_env) if name is not None)

    def allows(self, project: str) -> bool:
        return self.projects is None or project in self.projects


S = TypeVar("S", bound=SourceEntry)


def read_entries(
    path: Path | None, entry: type[S], url_problem: Callable[[str], str | None] = lambda _: None
) -> Mapping[str, S]:
    """Return the file's entries by name, in its order; without a file, none.

    `url_problem` says what is wrong with a URL, without showing it. Raises `SettingError`, which
    names the file and the entry, and shows no URL.
    """
    if path is None:
        return {}
    found: dict[str, S] = {}
    for place, listed in enumerate(_listed(path), 1):
        try:
            one = msgspec.convert(listed, entry)
        except msgspec.ValidationError as exc:
            raise SettingError(f"{path.name}: entry {place}: {exc}") from exc
        problem = _problem(one, url_problem)
        if problem is None and one.name in found:
            problem = f"the name {one.name} is taken"
        if problem is not None:
            raise SettingError(f"{path.name}: entry {place}: {problem}")
        found[one.name] = one
    return found


def login_variables(path: Path | None) -> tuple[str, ...]:
    """Return the names of the variables with logins. Raises `SettingError`."""
    entries = read_entries(path, SourceEntry).values()
    return tuple(dict.fromkeys(name for one in entries for name in one.variables))


def _listed(path: Path) -> Sequence[Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise SettingError(f"{path.name}: over {MAX_FILE_BYTES} bytes")
        listed = msgspec.convert(tomllib.loads(data.decode()), _File).source
    except OSError as exc:
        raise SettingError(f"{path.name}: {exc.strerror}") from exc
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise SettingError(f"{path.name}: {exc}") from exc
    if len(listed) > MAX_SOURCES:
        raise SettingError(f"{path.name}: more than {MAX_SOURCES} sources")
    return listed


class _File(msgspec.Struct, forbid_unknown_fields=True):
    source: tuple[Any, ...] = ()


def _problem(one: SourceEntry, url_problem: Callable[[str], str | None]) -> str | None:
    if not is_camera_name(one.name):
        return "a name has 1 to 63 lower-case letters, digits, - and _, and begins with no sign"
    problem = url_problem(one.url)
    if problem is not None:
        return f"{one.name}: {problem}"
    if one.password_env is not None and one.user_env is None:
        return f"{one.name}: password_env needs user_env"
    if not all(_VARIABLE.fullmatch(variable) for variable in one.variables):
        return f"{one.name}: user_env and password_env take the names of variables"
    return None
