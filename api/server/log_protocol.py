"""uvicorn's HTTP protocol, telling the application which transport a request came on.

ASGI has no way to cut a connection off or to see how much of it the client took. Both are needed
for readers that stop reading, and for logs that must not look finished when they are not.
"""

from api.server.protocol import BoundedProtocol

EXTENSION = "framewire.transport"


class LogProtocol(BoundedProtocol):
    """What `api.server.config` gives to uvicorn."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"transport": self.transport}}
