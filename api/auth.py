"""Who asks: a project by its key, or the operator by the admin key."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import msgspec
from litestar.connection import ASGIConnection

from api.directory import Directory
from api.errors import ForbiddenError, UnauthorizedError, UnavailableError
from api.ids import key_hash

_SCHEME = "bearer"
MAX_KEY_LENGTH = 256

Connection = ASGIConnection[Any, Any, Any, Any]


class Principal(msgspec.Struct, frozen=True):
    """Who asks. `project` is None for the operator alone."""

    project: str | None
    admin: bool = False

    def require_project(self) -> str:
        """Return the project; raises ForbiddenError for the operator, who has none."""
        if self.project is None:
            raise ForbiddenError("This needs a project's key: the admin key belongs to no project.")
        return self.project


class Authenticator:
    """Checks keys against the directory and the admin key, in constant time."""

    def __init__(
        self, directory: Directory, admin_key: str | None, *, loaded: Callable[[], bool]
    ) -> None:
        self._directory = directory
        self._admin_digest = _digest(admin_key) if admin_key else None
        self._loaded = loaded

    def authenticate(self, connection: Connection) -> Principal:
        """Return who asks.

        Raises UnauthorizedError without a known key, UnavailableError while the keys are not
        read yet: a good key is never called a bad one.
        """
        key = bearer_key(connection)
        if key is None:
            raise UnauthorizedError
        if self._is_admin(key):
            return Principal(project=None, admin=True)
        hashed = key_hash(key)
        found = self._directory.key_of(hashed)
        if found is not None and hmac.compare_digest(found.hash, hashed):
            return Principal(project=found.project)
        if not self._loaded():
            raise UnavailableError("The keys are still being read.", code="starting")
        raise UnauthorizedError

    def require_admin(self, connection: Connection) -> Principal:
        """Return the operator; raises UnauthorizedError or ForbiddenError for anyone else."""
        principal = self.authenticate(connection)
        if not principal.admin:
            raise ForbiddenError("This needs the admin key.")
        return principal

    def _is_admin(self, key: str) -> bool:
        return self._admin_digest is not None and hmac.compare_digest(
            self._admin_digest, _digest(key)
        )


def bearer_key(connection: Connection) -> str | None:
    """Return the key of `Authorization: Bearer …`, None without one."""
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != _SCHEME or not key or len(key) > MAX_KEY_LENGTH:
        return None
    return key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
