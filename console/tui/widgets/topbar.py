"""Top bar: name, tabs, project, URL of the api, and connection state."""

from typing import ClassVar

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive

from console.tui.drawing.styled_text import Line, fitted, length
from console.tui.view_models.connection import ConnectionState
from console.tui.view_models.health import Health
from console.tui.widgets.canvas import Canvas

TABS = (("tasks", "Video Tasks"), ("live", "Live"), ("tracks", "Tracks"), ("system", "System"))
_STATES = {
    "connecting": ("◌", "connecting", "dim"),
    "online": ("●", "online", "dim"),
    "slow": ("◐", "slow", "warn"),
    "away": ("✖", "away", "bad"),
    "refused": ("✖", "key refused", "bad"),
    "failing": ("▲", "failing", "warn"),
}


class TopBar(Canvas):
    """Top bar. Posts `TabClicked` when a tab is clicked."""

    DEFAULT_CSS = "TopBar { height: 1; background: $panel; }"
    active: reactive[str] = reactive("tasks")
    link: reactive[ConnectionState] = reactive(ConnectionState())
    health: reactive[Health] = reactive(Health())
    project: reactive[str | None] = reactive(None)
    n_unseen: reactive[int] = reactive(0)
    """Alerts that were not looked at."""
    BRAND: ClassVar[Line] = ((" ▞▚ ", "accent!"), ("framewire", "!"), ("  ", ""))

    class TabClicked(Message):
        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    def __init__(self, project: str | None, url: str, *, readonly: bool) -> None:
        super().__init__(id="topbar")
        self._readonly = readonly
        self.set_url(url)
        self.set_reactive(TopBar.project, project)

    def set_url(self, url: str) -> None:
        self._url = url.partition("://")[2] or url
        if self.is_mounted:
            self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:  # noqa: ARG002 - one line
        state = link_or_health(self.link, self.health)
        if self.n_unseen:
            state = ((f"!{min(self.n_unseen, 99)} ", "warn!"), *state)
        return [top_line(width, self.active, state, self.project, self._url, self._brand)]

    @property
    def _brand(self) -> Line:
        return (*self.BRAND, (" read-only ", "warn!")) if self._readonly else self.BRAND

    def watch_active(self) -> None:
        self.redraw()

    def watch_link(self) -> None:
        self.redraw()

    def watch_health(self) -> None:
        self.redraw()

    def watch_n_unseen(self) -> None:
        self.redraw()

    def watch_project(self) -> None:
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        left = length(self._brand)
        for i, (name, title) in enumerate(TABS):
            right = left + len(_tab(i, title))
            if left <= event.x < right:
                self.post_message(self.TabClicked(name))
                return
            left = right

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return 1


def link_or_health(link: ConnectionState, health: Health) -> Line:
    """Return the worst that is known: the connection's state, else the service's health.

    "Ready" is said only of a service all parts of which have answered.
    """
    latency = f" {link.latency_ms} ms" if link.latency_ms is not None else ""
    mark, word, tone = _STATES[link.state]
    if link.state == "online" and health.faults:
        mark, word, tone = "▲", health.words, "bad"
    elif link.state == "online" and health.is_known:
        mark, word, tone = "●", "ready", "good"
    return ((f"{mark} {word}", f"{tone}!"), (latency, "dim"), (" ", ""))


def top_line(
    width: int, active: str, state: Line, project: str | None, url: str, brand: Line
) -> Line:
    """Return the line.

    If it is too narrow, the URL is omitted first, then the project, the latency, and at last the
    end of the state.
    """
    tabs: list[tuple[str, str]] = [*brand]
    for i, (name, title) in enumerate(TABS):
        tabs.append((_tab(i, title), "accent!" if name == active else "dim"))
    where: Line = ((url, "dim"), ("   ", ""))
    whose: Line = ((project or "", "info!"), ("  ", "")) if project else ()
    no_latency: Line = (*state[:-2], (" ", ""))
    rights: list[Line] = [(*whose, *where, *state), (*whose, *state), state, no_latency]
    for right in rights:
        space = width - length(tabs) - length(right)
        if space >= 1:
            return (*tabs, (" " * space, ""), *right)
    return (*tabs, *fitted(no_latency, max(0, width - length(tabs))))


def _tab(place: int, title: str) -> str:
    return f" {place + 1} {title} "
