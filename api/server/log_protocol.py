"""uvicorn HTTP protocol that passes the request's transport to the application (ASGI extension).

ASGI has no way to abort a connection, or to see how much the client has received. Both are needed:
for clients that stop reading, and for incomplete logs, which must not look finished.
"""

from api.server.protocol import BoundedProtocol

EXTENSION = "framewire.transport"


class LogProtocol(BoundedProtocol):
    """The protocol class that `api.server.config` passes to uvicorn."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"transport": self.transport}}
