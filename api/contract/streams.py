"""What the stream's own endpoints answer, beyond log bytes."""

import msgspec


class StreamToken(msgspec.Struct, frozen=True):
    """A token that opens one task's stream until `expires_at` (RFC 3339).

    `stream_url` is the stream's path with the token in it: good for an `EventSource` as it is.
    """

    token: str
    expires_at: str
    stream_url: str
