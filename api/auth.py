"""Authentication by bearer key: a project by one of its keys, the operator by the admin key."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import msgspec
from litestar.connection import ASGIConnection

from api.audit import ADMIN, audit_fields
from api.contract.projects import Scope
from api.errors import ForbiddenError, MissingScopeError, UnauthorizedError, UnavailableError
from api.ids import key_hash, key_id
from api.kafka.global_table import GlobalTable
from api.kafka.key_use import KeyUses
from api.scopes import ADMIN_PROJECT, READ, known_scopes

_SCHEME = "bearer"
MAX_KEY_LENGTH = 256
_HEARD_OF_WITHIN_S = 2.0
_POLL_S = 0.05

Connection = ASGIConnection[Any, Any, Any, Any]


class Principal(msgspec.Struct, frozen=True):
    """The authenticated caller. `project` and `key` (its id) are None only for the operator."""

    project: str | None
    admin: bool = False
    key: str | None = None
    scopes: frozenset[str] = frozenset()

    def require_project(self, scope: Scope) -> str:
        """Return the project.

        Raises ForbiddenError for the operator, which has no project, and MissingScopeError for a
        key without the scope.
        """
        if self.project is None:
            raise ForbiddenError("This needs a project's key: the admin key belongs to no project.")
        self._require(scope)
        return self.project

    def require_admin_of(self, project: str | None) -> str | None:
        """Return the project that the request is restricted to; None: the operator sees them all.

        `project` is the requested one; None requests every project that the caller may see. Raises
        ForbiddenError for another project, MissingScopeError for a key without `admin:project`.
        """
        if self.admin:
            return project
        self._require(ADMIN_PROJECT)
        if project not in {None, self.project}:
            raise ForbiddenError("This key can administer only its own project.")
        return self.project

    def _require(self, scope: Scope) -> None:
        if scope not in self.scopes:
            raise MissingScopeError(scope)


class Authenticator:
    """Checks keys against the global table and the admin key, in constant time."""

    def __init__(
        self,
        directory: GlobalTable,
        admin_key: str | None,
        *,
        loaded: Callable[[], bool],
        uses: KeyUses | None = None,
    ) -> None:
        self._directory = directory
        self._admin_digest = _digest(admin_key) if admin_key else None
        self._loaded = loaded
        self._uses = uses

    def authenticate(self, connection: Connection) -> Principal:
        """Return the caller.

        Raises UnauthorizedError without a usable key. Raises UnavailableError for an unknown key
        while the keys are still being read: a valid key is never reported as invalid.
        """
        key = bearer_key(connection)
        if key is None:
            raise UnauthorizedError
        fields = audit_fields(connection.scope)
        if self._is_admin(key):
            fields.actor = ADMIN
            return Principal(project=None, admin=True)
        hashed = key_hash(key)
        found = self._directory.key_of(hashed, _now_ms())
        if found is not None and hmac.compare_digest(found.hash, hashed):
            if self._uses is not None:
                self._uses.note(found.hash)
            fields.actor, fields.project = key_id(found.hash), found.project
            return Principal(found.project, key=fields.actor, scopes=known_scopes(found.scopes))
        if not self._loaded():
            raise UnavailableError("The keys are still being read.", code="starting")
        raise UnauthorizedError

    def require_admin(self, connection: Connection) -> Principal:
        """Return the operator; raises UnauthorizedError or ForbiddenError for other callers."""
        principal = self.authenticate(connection)
        if not principal.admin:
            raise ForbiddenError("This needs the admin key.")
        return principal

    def is_alive(self, key: str) -> bool:
        """Return whether the key with this id may still be used for reading."""
        found = self._directory.key_by_id(key, _now_ms())
        return found is not None and READ in known_scopes(found.scopes)

    async def is_alive_soon(self, key: str) -> bool:
        """Return what `is_alive` returns, after a short wait for a key that is unknown here so far.

        Used for tokens, which another process may have signed in the key's name.
        """
        deadline_s = time.monotonic() + _HEARD_OF_WITHIN_S
        while (  # noqa: ASYNC110 - the table's thread has no event for one key
            not self._directory.has_heard_of(key) and time.monotonic() < deadline_s
        ):
            await asyncio.sleep(_POLL_S)
        return self.is_alive(key)

    def _is_admin(self, key: str) -> bool:
        return self._admin_digest is not None and hmac.compare_digest(
            self._admin_digest, _digest(key)
        )


def bearer_key(connection: Connection) -> str | None:
    """Return the key in `Authorization: Bearer …`, None if there is none."""
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != _SCHEME or not key or len(key) > MAX_KEY_LENGTH:
        return None
    return key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
