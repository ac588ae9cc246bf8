"""Responses of the stream endpoints other than log bytes."""

import msgspec


class StreamToken(msgspec.Struct, frozen=True):
    """A token that gives access to one task's stream until `expires_at` (RFC 3339).

    `stream_url` is the stream's path with the token in it; an `EventSource` can open it directly.
    """

    token: str
    expires_at: str
    stream_url: str
