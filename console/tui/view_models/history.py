"""View model of the places that were visited, as a browser's history. No I/O, no UI."""

import msgspec

from api.contract.tasks import Status
from console.tui.view_models.task_list import SortKey

MAX_PLACES = 200


class Place(msgspec.Struct, frozen=True):
    """What a tab shows: its page, and within it the selected row and the held event.

    `text` is a list's query, `key` the selected row's. In Live, `task` is followed, `held` is the
    byte of the held event and `anchor` that of the event to which the user jumped; None: the live
    end.
    """

    tab: str
    text: str = ""
    statuses: frozenset[Status] = frozenset()
    window: str = "any time"
    sort: tuple[SortKey, bool] = ("age", False)
    like_text: str | None = None
    task: str | None = None
    anchor: int | None = None
    key: str | None = None
    held: int | None = None

    @property
    def page(self) -> "Place":
        """The place without what changes by moving on it: the selection, and steps from an event.

        Only another page is another place to come back to.
        """
        return msgspec.structs.replace(self, key=None, held=None)


class History:
    """The visited places, at most `MAX_PLACES`; the current one is always the shown one."""

    def __init__(self, place: Place) -> None:
        self._places = [place]
        self._at = 0

    def __len__(self) -> int:
        return len(self._places)

    @property
    def current(self) -> Place:
        return self._places[self._at]

    def note(self, place: Place) -> None:
        """Take what is shown now.

        On the page of the current place, or of an empty one, it replaces that; else it comes after
        it, in place of those that one could go forward to.
        """
        if place.page == self.current.page or _fills(self.current, place):
            self._places[self._at] = place
            return
        self._places = [*self._places[: self._at + 1], place][-MAX_PLACES:]
        self._at = len(self._places) - 1

    def back(self) -> Place | None:
        """Go to the place before; None if there is none."""
        return self._go(-1)

    def forward(self) -> Place | None:
        """Go to the place from which `back` came; None if there is none."""
        return self._go(1)

    def _go(self, n: int) -> Place | None:
        if not 0 <= self._at + n < len(self._places):
            return None
        self._at += n
        return self.current


def _fills(current: Place, place: Place) -> bool:
    """Whether the current place is Live before it followed a task: there is nothing to see."""
    return current.tab == place.tab == "live" and current.task is None
