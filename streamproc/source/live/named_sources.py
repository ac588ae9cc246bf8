"""Named sources of a worker, and where a task's live URL leads: to a camera's address and login."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from streamproc.contract.live_url import CAMERA, camera_name
from streamproc.contract.setting_error import SettingError
from streamproc.contract.sources_file import SourceEntry, read_entries
from streamproc.source.errors import SourceForbiddenError, SourceUnauthorizedError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.address import LiveUrl, identity, parse
from streamproc.source.live.connection import LiveConnection
from streamproc.source.live.credentials import Credentials
from streamproc.source.live.hls.place import Place
from streamproc.source.live.opening import open_connection

SCHEME: Final = CAMERA
_log = structlog.get_logger()


class NamedSource(SourceEntry, frozen=True, forbid_unknown_fields=True):
    """An entry of `sources.toml`, its URL checked."""

    @property
    def address(self) -> LiveUrl:
        return parse(self.url)[0]

    def missing_variables(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return the variables that the entry names and the environment does not have."""
        return tuple(name for name in self.variables if name not in environ)

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


class Camera(msgspec.Struct, frozen=True):
    """What it takes to connect to a live source. The repr shows no path and no login.

    `name` is that of a named source.
    """

    url: LiveUrl
    credentials: Credentials | None
    policy: FetchPolicy
    is_udp: bool
    name: str | None = None

    def __repr__(self) -> str:
        return f"Camera({self.name or self.url!r})"

    @property
    def pin(self) -> str:
        """SHA-256 (hex) of what names the source in its log: its name, or the URL without login.

        A named source may move to another address.
        """
        known_by = identity(self.url) if self.name is None else f"{SCHEME}{self.name}"
        return hashlib.sha256(known_by.encode()).hexdigest()

    def open(self, interrupt: Interrupt, place: Place | None = None) -> LiveConnection:
        """Connect and wait until it plays. Raises a `SourceError`; the interrupt ends it.

        `place` is shared by the sessions of one task, so that none plays what one before played.
        """
        return open_connection(
            self.url, self.credentials, self.policy, interrupt, is_udp=self.is_udp, place=place
        )


class Cameras:
    """The named sources of a worker, with their logins. The repr shows names only."""

    def __init__(self, sources: Mapping[str, NamedSource], environ: Mapping[str, str]) -> None:
        """Logins are read once, here; one that is missing fails the tasks of its source."""
        self._sources = sources
        self._logins: dict[str, Credentials | None] = {}
        for name, source in sources.items():
            try:
                self._logins[name] = source.credentials(environ)
            except SettingError as exc:
                _log.warning("a camera cannot be used", source=name, reason=str(exc))

    def __repr__(self) -> str:
        return f"Cameras({', '.join(self._sources)})"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._sources)

    def resolve(self, url: str, project: str, policy: FetchPolicy, *, is_udp: bool) -> Camera:
        """Return where a task's live URL leads: `rtsp://…`, `rtsps://…` or `camera:NAME`.

        `policy` is the worker's own; a named source is exempt from its guard for its own host.
        `is_udp`: the task asks for UDP; a named source may ask for it, too. Raises
        `SourceForbiddenError` or `SourceUnauthorizedError`, which show a name, but no URL. A source
        of other projects and one that does not exist have the same answer.
        """
        name = camera_name(url)
        if name is None:
            try:
                address, credentials = parse(url)
            except ValueError as exc:
                raise SourceForbiddenError(str(exc)) from exc
            return Camera(address, credentials, policy, is_udp)
        source = self._sources.get(name)
        if source is None or not source.allows(project):
            shown = name if name.isprintable() else "this"
            raise SourceForbiddenError(f"there is no source {shown[:63]} for this project")
        if name not in self._logins:
            raise SourceUnauthorizedError(f"the worker has no login for the source {name}")
        return Camera(
            source.address,
            self._logins[name],
            source.policy(policy),
            is_udp or source.transport == "udp",
            name,
        )


def load_sources(path: Path | None) -> Mapping[str, NamedSource]:
    """Return the sources by name, in the order of the file; without a file, none.

    Raises `SettingError`, which names the file and the entry, and shows no URL.
    """
    return read_entries(path, NamedSource, _url_problem)


def _url_problem(url: str) -> str | None:
    try:
        _, credentials = parse(url)
    except ValueError as exc:
        return str(exc)
    if credentials is not None:
        return "credentials belong in variables, by user_env and password_env"
    return None
