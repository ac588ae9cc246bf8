"""Banner with the connection's problem; hidden if there is none."""

from textual.reactive import reactive

from console.tui.view_models.connection import ConnectionState
from console.tui.widgets.canvas import Lines


class Notice(Lines):
    DEFAULT_CSS = """
    Notice { height: auto; background: $error 18%; display: none; }
    Notice.-shown { display: block; }
    """
    link: reactive[ConnectionState] = reactive(ConnectionState())

    def watch_link(self, link: ConnectionState) -> None:
        self.set_class(not link.is_fine, "-shown")
        again = f"  ·  asking again in {link.pause_s:.0f} s" if link.pause_s else ""
        tone = "warn" if link.state == "slow" else "bad"
        self.show([((f" {link.detail}", tone), (again, "dim"))])
