"""Form field with a label and an error message."""

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Select

from console.client.curl_reader import is_curl


class FieldInput(Input):
    """Input that hands a pasted curl command on, instead of taking its first line."""

    class CurlPasted(Message):
        """A curl command was pasted."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def on_paste(self, event: events.Paste) -> None:
        if is_curl(event.text):
            event.prevent_default()
            event.stop()
            self.post_message(self.CurlPasted(event.text))

    def action_paste(self) -> None:
        """Paste what was copied in the console."""
        if is_curl(self.app.clipboard):
            self.post_message(self.CurlPasted(self.app.clipboard))
        else:
            super().action_paste()


class Field(Vertical):
    """Input or select field. `path` is its path in the request. Posts `Edited` on each change."""

    DEFAULT_CSS = """
    Field { height: auto;
        & > Horizontal { height: 1; }
        .field-label { width: 17; color: $text-muted; }
        Input { width: 1fr; background: $panel; }
        Select { width: 1fr; }
        .field-error { color: $error; display: none; padding-left: 17; height: auto; width: 1fr; }
        &.-wrong .field-error { display: block; }
        &.-wrong .field-label { color: $error; }
    }
    """

    class Edited(Message):
        """The field's value has changed."""

    def __init__(
        self,
        label: str,
        path: str,
        value: str = "",
        *,
        hint: str = "",
        choices: Sequence[str] = (),
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self.path = path
        self._label = label
        self._error = Label("", classes="field-error", markup=False)
        self._wrong_value: str | None = None
        self._control: Input | Select[str] = (
            Select[str](
                [(choice, choice) for choice in choices],
                value=value or choices[0],
                allow_blank=False,
                compact=True,
            )
            if choices
            else FieldInput(value, placeholder=hint, compact=True)
        )

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(self._label, classes="field-label", markup=False)
            yield self._control
        yield self._error

    @property
    def value(self) -> str:
        return str(self._control.value)

    @value.setter
    def value(self, value: str) -> None:
        self._control.value = value

    def say_wrong(self, text: str) -> None:
        """Show an error message about the value, until it is changed; an empty text removes it."""
        self._wrong_value = self.value if text else None
        self._error.update(text)
        self.set_class(bool(text), "-wrong")

    def focus_control(self) -> None:
        self._control.focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        message.stop()
        self._changed()

    def on_select_changed(self, message: Select.Changed) -> None:
        message.stop()
        self._changed()

    def _changed(self) -> None:
        if self._wrong_value is not None and self.value != self._wrong_value:
            self.say_wrong("")
        self.post_message(self.Edited())
