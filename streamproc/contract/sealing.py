"""URLs with credentials, encrypted: what the api stores for a task and a worker opens.

A sealed source is a Fernet token (AES-128-CBC and HMAC-SHA-256, of `cryptography`) over the task's
name and the URL, so that one task's object opens in no other's place. The keys come from
`FRAMEWIRE_SECRET_KEY`: the first one seals, all of them open, which is how a key is replaced.
"""

import base64
import hashlib
import hmac

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from streamproc.contract import env
from streamproc.contract.setting_error import SettingError

KEY_BYTES = 32
_LABEL = b"framewire request digest v1\n"


class SealBrokenError(Exception):
    """None of the keys opens it, or it was sealed for another task."""


class _Sealed(msgspec.Struct, frozen=True):
    project: str
    task: str
    url: str


class Sealer:
    """Seals and opens with a list of keys, the newest first. It never shows them."""

    def __init__(self, keys: str) -> None:
        """`keys` are 32 bytes in base64 each, separated by commas.

        Raises `SettingError`.
        """
        raw = [_key(text) for text in keys.split(",")]
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in raw])
        self._raw = raw

    def __repr__(self) -> str:
        return f"Sealer({len(self._raw)} keys)"

    def seal(self, project: str, task: str, url: str) -> bytes:
        return self._fernet.encrypt(msgspec.msgpack.encode(_Sealed(project, task, url)))

    def open(self, project: str, task: str, sealed: bytes) -> str:
        """Return the task's URL; raises `SealBrokenError`."""
        try:
            found = msgspec.msgpack.decode(self._fernet.decrypt(sealed), type=_Sealed)
        except (InvalidToken, msgspec.DecodeError) as exc:
            raise SealBrokenError("none of the keys opens the URL") from exc
        if (found.project, found.task) != (project, task):
            raise SealBrokenError("the URL was sealed for another task")
        return found.url

    def digests(self, sha256_hex: str) -> tuple[str, ...]:
        """Return the hash under each key (hex): what a stored hash of a request with a secret is.

        A plain hash would let whoever reads it try passwords.
        """
        message = _LABEL + sha256_hex.encode()
        return tuple(hmac.digest(key, message, hashlib.sha256).hex() for key in self._raw)


def _key(text: str) -> bytes:
    try:
        key = base64.urlsafe_b64decode(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingError(
            f"{env.SECRET_KEY} must hold keys of {KEY_BYTES} bytes in base64, separated by commas"
        )
    return key
