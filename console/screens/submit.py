"""placeholder"""

from typing import Any

from textual.screen import ModalScreen

from console.backend import Backend


class SubmitScreen(ModalScreen[str | None]):
    def __init__(self, backend: Backend, request: dict[str, Any] | None = None) -> None:
        super().__init__()
