"""Base class of modal dialogs."""

from typing import TypeVar

from rich.console import RenderableType
from textual.await_complete import AwaitComplete
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen
from textual.visual import Visual

from console.tui.screens.sized_screen import SizedScreen
from console.tui.widgets.backdrop import Backdrop
from console.tui.widgets.toasts import paint_behind_toasts

Answer = TypeVar("Answer")


class Dialog(SizedScreen, ModalScreen[Answer]):
    """Base of the console's modal dialogs: centred, with the tabs dimmed behind it."""

    AUTO_FOCUS = "*"

    def __init__(self) -> None:
        super().__init__(classes="dialog")

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Close the dialog with an answer. Once it is closed, this does nothing.

        Textual would give the second answer as well, and close the screen that is in front then.
        """
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def render(self) -> RenderableType | Visual:  # type: ignore[override] # Textual takes both
        behind = super().render()
        return Backdrop(behind) if isinstance(behind, BackgroundScreen) else behind

    def on_mount(self) -> None:
        paint_behind_toasts(self)
