"""Redaction of credentials in URLs: every part that may be secret is replaced by `***`.

It cannot be known for every service which parameter of a URL is a signature. Therefore all values
of the query, the user information before the host, and the fragment are masked. Names stay: they
show what kind of URL it was, and which values to supply again.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

MASK = "***"

_SEPARATOR = re.compile(r"([&;])")


class _Parts(NamedTuple):
    """A URL, split as by `urlsplit` but without any loss; None: the part is absent."""

    scheme: str
    user: str | None
    place: str
    query: str | None
    fragment: str | None


def mask_url(url: str) -> str:
    """Return the URL with possible secrets masked; a masked URL stays the same.

    A part of the query that is not `name=value` is masked as a whole.
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
    """Return whether `mask_url` would change the URL."""
    return mask_url(url) != url


def is_masked(url: str) -> bool:
    """Return whether the URL was masked, so that it cannot be fetched."""
    parts = _split(url)
    if MASK in {parts.user, parts.fragment}:
        return True
    pieces = _SEPARATOR.split(parts.query or "")
    return any(piece == MASK or piece.endswith(f"={MASK}") for piece in pieces)


def mask_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request's body with the URLs of its inputs masked."""
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
