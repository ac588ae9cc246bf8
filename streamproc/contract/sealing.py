"""Authenticated encryption of source URLs with credentials: the api seals, a worker opens.

A sealed source is a Fernet token (AES-128-CBC and HMAC-SHA-256, from `cryptography`) over the
task's name and the URL, so that one task's object cannot be opened for another task. The keys come
from `FRAMEWIRE_SECRET_KEY`: the first one encrypts, all of them decrypt, which allows key rotation.
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
    """None of the keys decrypts it, or it was sealed for another task."""


class _Sealed(msgspec.Struct, frozen=True):
    project: str
    task: str
    url: str


class Sealer:
    """Encrypts and decrypts with a list of keys, newest first. Its repr never shows them."""

    def __init__(self, keys: str) -> None:
        """`keys`: 32 bytes in base64 each, separated by commas.

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
        """Return the keyed hash (HMAC, hex) for each key; stored for requests that hold a secret.

        A plain hash would allow its readers to guess passwords offline.
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
