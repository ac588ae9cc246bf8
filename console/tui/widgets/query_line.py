"""Filter line of a list: a query to type, its faults, and its terms as chips."""

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from api.contract.query.parser import MAX_LENGTH, parse
from api.contract.query.terms import Query, QueryError, Vocabulary, render, render_term
from console.tui.drawing.styled_text import folded
from console.tui.widgets.canvas import Lines
from console.tui.widgets.chips import Chips

_TYPING_S = 0.2


class QueryLine(Vertical):
    """Line with an input while it is edited, then with a chip for each term; a click removes one.

    Posts `Changed` with the text of a query. With `is_live` it does so while one is typed, after a
    short pause; without, after enter. A text that is no query is never posted; its fault is shown
    below.
    """

    DEFAULT_CSS = """
    QueryLine {
        height: auto; padding: 0 1; background: $surface; display: none;
        &.-shown { display: block; }
        & > Input { background: $surface; padding: 0; }
        & > Chips { display: none; }
        &.-chips > Chips { display: block; }
        &.-chips > Input { display: none; }
    }
    """

    class Changed(Message):
        """The query is another one; `text` is empty without a filter."""

        def __init__(self, line: "QueryLine", text: str) -> None:
            super().__init__()
            self.line = line
            self.text = text

        @property
        def control(self) -> "QueryLine":
            return self.line

    class Entered(Message):
        """A query was entered with enter, and editing is over."""

        def __init__(self, line: "QueryLine") -> None:
            super().__init__()
            self.line = line

        @property
        def control(self) -> "QueryLine":
            return self.line

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        hint: str,
        is_live: bool,
        input_id: str,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self._vocabulary = vocabulary
        self._hint = hint
        self._is_live = is_live
        self._input_id = input_id
        self._query = Query()
        self._text = ""
        self._pause: Timer | None = None

    @property
    def text(self) -> str:
        """The text of the current query."""
        return self._text

    @property
    def is_edited(self) -> bool:
        """Whether the query is being typed."""
        return not self.query_one(Input).disabled

    def compose(self) -> ComposeResult:
        yield Input(
            placeholder=self._hint,
            id=self._input_id,
            compact=True,
            max_length=MAX_LENGTH,
            disabled=True,
        )
        yield Chips((), "/ ")
        yield Lines(classes="query-fault")

    def edit(self) -> None:
        """Show the input and focus it at once, so that the next key is its first letter."""
        self.add_class("-shown")
        self.remove_class("-chips")
        field = self.query_one(Input)
        field.disabled = False
        self.screen.set_focus(field)

    def set_text(self, text: str) -> None:
        """Take a query as if it had been entered; raises `QueryError`."""
        self._stop()
        self._query = parse(text, self._vocabulary)
        self.query_one(Input).value = text
        self._say("")
        self._show_chips()
        self._tell(text)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value == self._text or self.has_class("-chips"):
            return
        self._stop()
        try:
            parse(event.value, self._vocabulary)
        except QueryError as exc:
            self._say(str(exc), "dim")
            return
        self._say("")
        if self._is_live:
            self._pause = self.set_timer(_TYPING_S, self._take)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._stop()
        if self._take():
            self._show_chips()
            self.post_message(self.Entered(self))

    @on(Chips.Clicked)
    def _chip_clicked(self, event: Chips.Clicked) -> None:
        event.stop()
        terms = self._query.terms
        kept = tuple(t for t in terms if render_term(t, self._vocabulary) != event.name)
        self.set_text(render(replace(self._query, terms=kept), self._vocabulary))

    def _take(self) -> bool:
        """Take the typed text; return whether it is a query."""
        text = self.query_one(Input).value.strip()
        try:
            self._query = parse(text, self._vocabulary)
        except QueryError as exc:
            self._say(str(exc))
            return False
        self._tell(text)
        return True

    def _tell(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self.post_message(self.Changed(self, text))

    def _show_chips(self) -> None:
        names = tuple(render_term(term, self._vocabulary) for term in self._query.terms)
        self.query_one(Chips).rename(names)
        self.query_one(Input).disabled = True  # a hidden input must not have the focus
        self.set_class(bool(names), "-shown")
        self.add_class("-chips")

    def _say(self, fault: str, tone: str = "bad") -> None:
        lines = folded([(fault, tone)], max(20, self.content_size.width), 2) if fault else []
        self.query_one(Lines).show(lines)

    def _stop(self) -> None:
        if self._pause is not None:
            self._pause.stop()
            self._pause = None
