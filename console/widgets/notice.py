"""The line that says plainly what is wrong with the connection; gone when nothing is."""

from textual.reactive import reactive

from console.link import Link
from console.widgets.canvas import Lines


class Notice(Lines):
    DEFAULT_CSS = """
    Notice { height: auto; background: $error 18%; display: none; }
    Notice.-shown { display: block; }
    """
    link: reactive[Link] = reactive(Link())

    def watch_link(self, link: Link) -> None:
        self.set_class(not link.is_fine, "-shown")
        again = f"  ·  asking again in {link.pause_s:.0f} s" if link.pause_s else ""
        tone = "warn" if link.state == "slow" else "bad"
        self.show([((f" {link.detail}", tone), (again, "dim"))])
