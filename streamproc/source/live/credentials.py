"""User name and password of a live source, which are never shown."""

from typing import NamedTuple
from urllib.parse import SplitResult, unquote


class Credentials(NamedTuple):
    """User name and password, decoded. The repr shows neither."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(***)"


def credentials_of(url: SplitResult) -> Credentials | None:
    """Return the decoded pair of a URL, None without a user name.

    Raises `ValueError` for a character that is not printable: it could end the line of a header.
    """
    if url.username is None:
        return None
    pair = Credentials(unquote(url.username), unquote(url.password or ""))
    if not all(text.isprintable() for text in pair):
        raise ValueError("the user name and password may hold printable characters only")
    return pair
