"""Named sources (`sources.toml`): cameras that tasks know by name, with credentials apart.

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
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from streamproc.contract.live_url import CAMERA, is_camera_name
from streamproc.contract.setting_error import SettingError
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.rtsp.url import Credentials, RtspUrl, parse

SCHEME: Final = CAMERA
MAX_FILE_BYTES: Final = 1 << 20
MAX_SOURCES: Final = 10_000
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class NamedSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the file. The repr shows its name only."""

    name: str
    url: str
    user_env: str | None = None
    password_env: str | None = None
    projects: tuple[str, ...] | None = None
    ca: str | None = None
    transport: Literal["tcp", "udp"] = "tcp"

    def __repr__(self) -> str:
        return f"NamedSource({self.name!r})"

    @property
    def address(self) -> RtspUrl:
        return parse(self.url)[0]

    def allows(self, project: str) -> bool:
        return self.projects is None or project in self.projects

    def missing_variables(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return the variables that the entry names and the environment does not have."""
        names = (self.user_env, self.password_env)
        return tuple(name for name in names if name is not None and name not in environ)

    def credentials(self, environ: Mapping[str, str]) -> Credentials | None:
        """Return the user name and password. Raises `SettingError`, which names a variable."""
        missing = self.missing_variables(environ)
        if missing:
            raise SettingError(f"source {self.name}: {' and '.join(missing)} is not set")
        if self.user_env is None:
            return None
        password = "" if self.password_env is None else environ[self.password_env]
        found = Credentials(environ[self.user_env], password)
        if not all(text.isprintable() for text in found):
            raise SettingError(f"source {self.name}: {self.user_env} or its password has a newline")
        return found

    def policy(self, policy: FetchPolicy) -> FetchPolicy:
        """Return the policy for this source: its own host and port may be private."""
        address = self.address
        return msgspec.structs.replace(
            policy,
            allowed_private_hosts=policy.allowed_private_hosts.plus(address.host, address.port),
            ca_file=self.ca or policy.ca_file,
        )


class _File(msgspec.Struct, forbid_unknown_fields=True):
    source: tuple[NamedSource, ...] = ()


def load_sources(path: Path | None) -> Mapping[str, NamedSource]:
    """Return the sources by name, in the order of the file; without a file, none.

    Raises `SettingError`, which names the file and the entry, and shows no URL.
    """
    if path is None:
        return {}
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
    found: dict[str, NamedSource] = {}
    for place, one in enumerate(listed, 1):
        problem = _problem(one)
        if problem is None and one.name in found:
            problem = f"the name {one.name} is taken"
        if problem is not None:
            raise SettingError(f"{path.name}: entry {place}: {problem}")
        found[one.name] = one
    return found


def _problem(one: NamedSource) -> str | None:
    if not is_camera_name(one.name):
        return "a name has 1 to 63 lower-case letters, digits, - and _, and begins with no sign"
    try:
        _, credentials = parse(one.url)
    except ValueError as exc:
        return f"{one.name}: {exc}"
    if credentials is not None:
        return f"{one.name}: credentials belong in variables, by user_env and password_env"
    if one.password_env is not None and one.user_env is None:
        return f"{one.name}: password_env needs user_env"
    for variable in (one.user_env, one.password_env):
        if variable is not None and _VARIABLE.fullmatch(variable) is None:
            return f"{one.name}: user_env and password_env take the names of variables"
    return None
