"""URLs as others may see them: what can be a credential is replaced by `***`.

Which parameter of a URL is a signature cannot be known for every service, so every value of the
query is masked, the user information before the host, and the fragment. Names stay: they tell a
reader what kind of URL it was, and what to give again.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

MASK = "***"

_SEPARATOR = re.compile(r"([&;])")


class _Parts(NamedTuple):
    """A URL, cut as `urlsplit` cuts it, and nothing of it lost; None: there is no such part."""

    scheme: str
    user: str | None
    place: str
    query: str | None
    fragment: str | None


def mask_url(url: str) -> str:
    """Return the URL without what may be secret; a masked URL stays as it is.

    A piece of the query that is not `name=value` is masked as a whole.
    """
    parts = _split(url)
    masked = parts.scheme
    if parts.user is not None:
        masked += f"{MASK}@"
    masked += parts.place
    if parts.query is not None:
        pieces = _SEPARATOR.split(parts.query)
        masked += "?" + "".join(p if p in {"&", ";"} else _masked_piece(p) for p in pieces)
    if parts.fragment is not None:
        masked += f"#{MASK if parts.fragment else ''}"
    return masked


def holds_secret(url: str) -> bool:
    """Whether `mask_url` would take something out of the URL."""
    return mask_url(url) != url


def is_masked(url: str) -> bool:
    """Whether something was taken out of the URL: it cannot be fetched as it stands."""
    parts = _split(url)
    if MASK in {parts.user, parts.fragment}:
        return True
    pieces = _SEPARATOR.split(parts.query or "")
    return any(piece == MASK or piece.endswith(f"={MASK}") for piece in pieces)


def mask_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a request with the URLs of its inputs masked."""
    inputs = body.get("input")
    if not isinstance(inputs, list):
        return dict(body)
    return {**body, "input": [_masked_input(item) for item in inputs]}


def _split(url: str) -> _Parts:
    rest, mark, fragment = url.partition("#")
    rest, question, query = rest.partition("?")
    scheme, colon, place = rest.partition("://")
    if not colon:
        scheme, place = "", rest
    authority, slash, path = place.partition("/")
    user, at, host = authority.rpartition("@")
    return _Parts(
        scheme + colon,
        user if at and colon else None,
        f"{host}{slash}{path}" if colon else place,
        query if question else None,
        fragment if mark else None,
    )


def _masked_input(item: Any) -> Any:
    if isinstance(item, dict) and isinstance(item.get("url"), str):
        return {**item, "url": mask_url(item["url"])}
    return item


def _masked_piece(piece: str) -> str:
    name, _, value = piece.partition("=")
    if value.strip("="):
        return f"{name}={MASK}"
    return MASK if piece else ""  # a bare word may be the secret itself, padded or not
