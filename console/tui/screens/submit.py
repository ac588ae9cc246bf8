"""Submit form: video, sampling and range, steps, and the equivalent curl command."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from msgspec import structs
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Label, Static

from api.contract.models import ModelResource
from console.client import calls
from console.client.curl import curl
from console.client.curl_reader import CurlError, is_curl, read_curl
from console.client.video_input import is_url, local_file, video_input
from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.messages import CopyText, EditText
from console.tui.screens.dialog import Dialog
from console.tui.screens.file_picker import PickFileScreen
from console.tui.view_models import submit_form
from console.tui.view_models.request_text import (
    RequestTextError,
    parse_request,
    request_text,
)
from console.tui.view_models.submit_form import (
    FormError,
    FormValues,
    StepValues,
    build_body,
    place_errors,
    read_body,
)
from console.tui.widgets.field import Field, FieldInput
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.step_editor import StepEditor

_FRESH = FormValues(steps=(StepValues("detect"), StepValues("feature")))
FILE_NAME = "request.json"
_KINDS = ("detect", "ocr", "feature")


class SubmitScreen(Dialog[str | None]):
    """Submit dialog. Its result is the new task's id, or None if it was closed."""

    AUTO_FOCUS = "#source Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "submit", "Submit", priority=True),
        Binding("ctrl+o", "pick", "Choose a file", priority=True),
        Binding("ctrl+y", "copy", "Copy curl", priority=True),
        Binding("ctrl+e", "edit_text", "Edit as JSON", priority=True),
        Binding("escape", "leave", "Close"),
    ]

    def __init__(
        self,
        backend: ApiSession,
        request: Mapping[str, Any] | None = None,
        *,
        as_text: bool = False,
    ) -> None:
        """`as_text`: the request is opened in the user's editor at once."""
        super().__init__()
        self._text = request_text(request) if as_text and request is not None else None
        """A text to edit: the whole request, or one that was edited and is no request."""
        self._backend = backend
        self._values = _FRESH if request is None else read_body(request)
        self._models: dict[str, ModelResource] = {}
        self._wrong = Label("", id="submit-wrong", classes="wrong", markup=False)
        self._steps = Vertical(id="steps")
        self._curl = Static("", id="submit-curl", markup=False)
        self._is_sending = False

    def compose(self) -> ComposeResult:
        values = self._values
        with Vertical(id="submit-box"):
            yield Label("Submit a video", classes="dialog-title")
            with Horizontal(id="submit-panes"):
                with VerticalScroll(id="submit-form"):
                    yield self._wrong
                    yield Field(
                        "video",
                        submit_form.SOURCE,
                        values.source,
                        hint="a file here, or a URL",
                        id="source",
                    )
                    yield Field(
                        "sampling",
                        submit_form.SAMPLING,
                        values.mode,
                        choices=submit_form.MODES,
                        id="mode",
                    )
                    yield Field(
                        "value",
                        submit_form.SAMPLING_VALUE,
                        values.value,
                        hint="1 (frames per second, or every n-th)",
                        id="value",
                    )
                    yield Field(
                        "from", submit_form.RANGE_START, values.start, hint="the start", id="start"
                    )
                    yield Field("to", submit_form.RANGE_END, values.end, hint="the end", id="end")
                    yield Field(
                        "unit",
                        submit_form.RANGE_UNIT,
                        values.unit,
                        choices=submit_form.UNITS,
                        id="unit",
                    )
                    yield Field(
                        "frames at most",
                        submit_form.MAX_FRAMES,
                        values.max_frames,
                        hint="3000",
                        id="most",
                    )
                    yield Field(
                        "provider hint", submit_form.HINT, values.hint, hint="any", id="hint"
                    )
                    yield self._steps
                    with Horizontal(id="add-steps"):
                        yield Label("add step ", classes="field-label")
                        for kind in _KINDS:
                            yield Button(kind, id=f"add-{kind}", compact=True, classes="add-step")
                with VerticalScroll(id="submit-curl-pane"):
                    yield self._curl
            with Horizontal(classes="dialog-buttons"):
                yield Button("Submit (ctrl+s)", variant="primary", id="send", compact=True)
                yield Button("Choose a file (ctrl+o)", id="pick", compact=True)
                yield Button("Close (esc)", id="close", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        self._read_models()
        if self._text is not None:
            self.post_message(EditText(self._text, FILE_NAME, self._take_text))

    @work(exclusive=True, group="models")
    async def _read_models(self) -> None:
        try:
            page = await self._backend.ask(calls.models())
            self._models = {model.id: model for model in page.data}
        except ConsoleError as exc:
            self._say(f"The models cannot be read, their parameters are not shown: {exc}")
        await self._show_steps(self._values.steps)

    async def _show_steps(self, steps: tuple[StepValues, ...]) -> None:
        await self._steps.remove_children()
        if self._steps.is_attached:  # else the dialog was closed meanwhile
            editors = [StepEditor(i, step, self._models) for i, step in enumerate(steps)]
            await self._steps.mount_all(editors)
            self._show_curl()

    def _typed(self) -> FormValues:
        def text(name: str) -> str:
            return self.query_one(f"#{name}", Field).value

        return FormValues(
            text("source"),
            text("mode"),
            text("value"),
            text("start"),
            text("end"),
            text("unit"),
            text("most"),
            text("hint"),
            tuple(editor.values for editor in self.query(StepEditor)),
            stream=self._values.stream,
            live=self._values.live,
            precision=self._values.precision,
        )

    @on(Field.Edited)
    def _show_curl(self) -> None:
        if not self._curl.is_attached:
            return
        values = self._typed()
        url, upload = self._video(values.source)
        video = (
            {"type": "video_url", "url": url}
            if upload is None
            else {"type": "video_base64", "data": ""}
        )
        try:
            body = build_body(values, video, self._models)
        except FormError:
            return
        text = curl(calls.submit(body), self._backend.endpoint.url, upload=upload)
        self._curl.update(text)

    def _video(self, source: str) -> tuple[str, Path | None]:
        """Return the video's URL, and the local file that is sent with the request instead.

        A file below one of the api's file roots is named by its URL, as `video_input` does.
        """
        word = source.strip()
        path = None if not word or is_url(word) else local_file(word)
        if path is None:
            return word, None
        below_root = any(path.is_relative_to(root) for root in self._backend.endpoint.file_roots)
        return path.as_uri(), None if below_root else path

    @work(group="send")
    async def _send(self, values: FormValues) -> None:
        """Submit the form: once, however often it is asked for until the api has answered."""
        if self._is_sending:
            return
        self._is_sending = True
        try:
            await self._submit(values)
        finally:
            self._is_sending = False

    async def _submit(self, values: FormValues) -> None:
        self._clear_errors()
        try:
            video = await asyncio.to_thread(
                video_input, values.source.strip(), self._backend.endpoint.file_roots
            )
        except ConsoleError as exc:
            self._place({submit_form.SOURCE: str(exc)})
            return
        try:
            body = build_body(values, video, self._models)
        except FormError as exc:
            self._place(exc.errors)
            return
        self._say("being submitted …", is_wrong=False)
        try:
            accepted = await self._backend.ask(calls.submit(body))
        except ApiProblem as exc:
            placed, others = place_errors(exc.errors, [field.path for field in self.query(Field)])
            self._place(placed)
            self._say("; ".join(others) or ("" if placed else str(exc)))
            return
        except ConsoleError as exc:
            self._say(str(exc))
            return
        self.dismiss(accepted.id)

    def _clear_errors(self) -> None:
        self._say("")
        for field in self.query(Field):
            field.say_wrong("")

    def _place(self, errors: Mapping[str, str]) -> None:
        wrong = [field for field in self.query(Field) if field.path in errors]
        for field in wrong:
            field.say_wrong(errors[field.path])
        if wrong:
            wrong[0].focus_control()
            wrong[0].scroll_visible(animate=False)

    def _say(self, text: str, *, is_wrong: bool = True) -> None:
        self._wrong.update(text)
        self._wrong.set_class(is_wrong, "wrong")

    @on(Button.Pressed, ".add-step")
    async def _add(self, message: Button.Pressed) -> None:
        message.stop()
        kind = (message.button.id or "").removeprefix("add-")
        await self._show_steps((*self._typed().steps, StepValues(kind)))

    async def on_step_editor_removed(self, message: StepEditor.Removed) -> None:
        editors = list(self.query(StepEditor))
        await self._show_steps(tuple(e.values for e in editors if e is not message.editor))

    @on(Button.Pressed, "#send")
    def action_submit(self) -> None:
        self._send(self._typed())

    @on(Button.Pressed, "#close")
    def action_leave(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#pick")
    def action_pick(self) -> None:
        def picked(path: Path | None) -> None:
            if path is not None:
                self.query_one("#source", Field).value = str(path)

        source = self.query_one("#source", Field).value
        path = None if is_url(source) else local_file(source)
        self.app.push_screen(PickFileScreen(Path.cwd() if path is None else path.parent), picked)

    def action_edit_text(self) -> None:
        """Edit the request as JSON in the user's editor; the form takes what comes back."""
        text = self._text
        if text is None:
            if not self._models:  # their schemas tell numbers from words
                self._say("The models are not read yet.")
                return
            values = self._typed()
            url, _ = self._video(values.source)
            try:
                body = build_body(values, {"type": "video_url", "url": url}, self._models)
            except FormError as exc:
                self._place(exc.errors)
                return
            text = request_text(body)
        self.post_message(EditText(text, FILE_NAME, self._take_text))

    async def _take(self, values: FormValues, note: str = "") -> None:
        """Show these values in the form."""
        self._values = values
        self._clear_errors()
        self._say(note, is_wrong=False)
        for name, value in (
            ("source", values.source),
            ("mode", values.mode),
            ("value", values.value),
            ("start", values.start),
            ("end", values.end),
            ("unit", values.unit),
            ("most", values.max_frames),
            ("hint", values.hint),
        ):
            self.query_one(f"#{name}", Field).value = value
        await self._show_steps(values.steps)

    def _take_text(self, text: str) -> None:
        try:
            values = read_body(parse_request(text))
        except RequestTextError as exc:
            self._text = text
            self._say(f"{exc}; ctrl+e opens the text again.")
            return
        self._text = None
        self.call_later(self._take, values)

    @on(FieldInput.CurlPasted)
    def _curl_pasted(self, message: FieldInput.CurlPasted) -> None:
        self._take_curl(message.text)

    def on_paste(self, event: events.Paste) -> None:
        """Take a curl command that was pasted while no text field had the focus."""
        if is_curl(event.text):
            event.stop()
            self._take_curl(event.text)

    def _take_curl(self, text: str) -> None:
        """Fill the form from a curl command."""
        try:
            request = read_curl(text)
            values = read_body(parse_request(request.body))
        except (CurlError, RequestTextError) as exc:
            self._say(f"Not a request to fill the form from: {exc}.")
            return
        if request.upload is not None:
            values = structs.replace(values, source=str(request.upload))
        self._text = None
        note = "Filled from the pasted curl command."
        missing = "" if values.source else " Its video is to be chosen again."
        self.call_later(self._take, values, note + missing)

    def action_copy(self) -> None:
        about = "It reads the key from $FRAMEWIRE_KEY."
        self.post_message(CopyText(str(self._curl.content), "Copied the curl command", about))
