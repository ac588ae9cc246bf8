"""Basic and Digest authentication (RFC 7617, RFC 7616) of RTSP requests."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from streamproc.source.live.credentials import Credentials

_HASHES: Final[Mapping[str, Callable[[bytes], "hashlib._Hash"]]] = {
    "MD5": hashlib.md5,
    "SHA-256": hashlib.sha256,
}
_SCHEME: Final = re.compile(r"\s*(basic|digest)\s+", re.IGNORECASE)
_PARAMETER: Final = re.compile(
    r"\s*,?\s*([A-Za-z0-9_-]{1,32})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))"
)
_MAX_NONCE: Final = 1024
_SESSION: Final = "-SESS"


class Challenge(NamedTuple):
    """What a server asks for. `realm`, `nonce` and `opaque` are raw, as between the quotes."""

    scheme: str
    realm: str = ""
    nonce: str = ""
    algorithm: str = "MD5"
    is_named: bool = False
    has_qop: bool = False
    opaque: str | None = None
    is_stale: bool = False

    @property
    def strength(self) -> int:
        if self.scheme == "basic":
            return 0
        return 2 if self.algorithm.startswith("SHA-256") else 1


def best_challenge(values: Iterable[str]) -> Challenge | None:
    """Return the strongest challenge of `WWW-Authenticate` headers that can be answered."""
    found = [challenge for value in values for challenge in _challenges(value)]
    return max(found, key=lambda challenge: challenge.strength, default=None)


class Authenticator:
    """Makes the `Authorization` headers of one connection; counts the uses of a nonce."""

    def __init__(
        self, credentials: Credentials, make_nonce: Callable[[], str] | None = None
    ) -> None:
        """`make_nonce` returns a client nonce; by default, 128 random bits."""
        self._credentials = credentials
        self._make_nonce = make_nonce or (lambda: secrets.token_hex(16))
        self._challenge: Challenge | None = None
        self._n_uses = 0
        self._session_nonce = ""

    @property
    def challenge(self) -> Challenge | None:
        """The challenge that is answered now."""
        return self._challenge

    def accept(self, challenge: Challenge) -> None:
        self._challenge = challenge
        self._n_uses = 0
        self._session_nonce = self._make_nonce()

    def header(self, method: str, target: str) -> str | None:
        """Return the value of `Authorization`, None before a challenge."""
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            pair = f"{self._credentials.user}:{self._credentials.password}"
            return "Basic " + base64.b64encode(pair.encode()).decode()
        return self._digest(challenge, method, target)

    def _digest(self, challenge: Challenge, method: str, target: str) -> str:
        user, password = self._credentials
        is_session = challenge.algorithm.endswith(_SESSION)
        take = _HASHES[challenge.algorithm.removesuffix(_SESSION)]

        def digest(*parts: str) -> str:
            return take(":".join(parts).encode()).hexdigest()

        client_nonce = self._session_nonce if is_session else self._make_nonce()
        secret = digest(user, challenge.realm, password)
        if is_session:
            secret = digest(secret, challenge.nonce, client_nonce)
        fields = [
            f'username="{_quoted(user)}"',
            f'realm="{challenge.realm}"',
            f'nonce="{challenge.nonce}"',
            f'uri="{target}"',
        ]
        request = digest(method, target)
        if challenge.has_qop:
            self._n_uses += 1
            count = f"{self._n_uses:08x}"
            response = digest(secret, challenge.nonce, count, client_nonce, "auth", request)
            fields += ["qop=auth", f"nc={count}", f'cnonce="{client_nonce}"']
        else:
            response = digest(secret, challenge.nonce, request)
            if is_session:
                fields.append(f'cnonce="{client_nonce}"')
        fields.append(f'response="{response}"')
        if challenge.opaque is not None:
            fields.append(f'opaque="{challenge.opaque}"')
        if challenge.is_named:
            fields.append(f"algorithm={challenge.algorithm.replace(_SESSION, '-sess')}")
        return "Digest " + ", ".join(fields)


def _challenges(value: str) -> Iterable[Challenge]:
    """Yield the challenges of one header that can be answered; one header may hold several."""
    matches = list(_SCHEME.finditer(value))
    starts = [match for match in matches if _is_outside_quotes(value, match.start())]
    for number, match in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(value)
        if match[1].lower() == "basic":
            yield Challenge("basic")
            continue
        challenge = _digest_challenge(_parameters(value[match.end() : end]))
        if challenge is not None:
            yield challenge


def _is_outside_quotes(value: str, at: int) -> bool:
    before = value[:at]
    is_outside = re.sub(r"\\.", "", before).count('"') % 2 == 0
    return is_outside and (not before.strip() or before.rstrip().endswith(","))


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(text):
        value = match[2] if match[2] is not None else match[3]
        found.setdefault(match[1].lower(), value)
    return found


def _digest_challenge(found: Mapping[str, str]) -> Challenge | None:
    algorithm = found.get("algorithm", "MD5").upper()
    options = {option.strip().lower() for option in found.get("qop", "").split(",")} - {""}
    nonce = found.get("nonce", "")
    if algorithm.removesuffix(_SESSION) not in _HASHES or len(nonce) > _MAX_NONCE:
        return None
    if options and "auth" not in options:
        return None
    return Challenge(
        "digest",
        realm=found.get("realm", ""),
        nonce=nonce,
        algorithm=algorithm,
        is_named="algorithm" in found,
        has_qop=bool(options),
        opaque=found.get("opaque"),
        is_stale=found.get("stale", "").lower() == "true",
    )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
