"""Base class of modal dialogs."""

from typing import TypeVar

from textual.screen import ModalScreen

from console.tui.widgets.toasts import paint_behind_toasts

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """Base of the console's modal dialogs: centred, with the tabs dimmed behind it."""

    AUTO_FOCUS = "*"

    def __init__(self) -> None:
        super().__init__(classes="dialog")

    def on_mount(self) -> None:
        paint_behind_toasts(self)
