"""View model of saved views: a place of a list, as it is stored. Pure."""

from api.contract.tasks import STATUSES
from console.config.values import View
from console.tui.view_models.history import Place
from console.tui.view_models.task_list import SORT_KEYS, WINDOWS, SortKey


def place_of(view: View) -> Place:
    """Return the place that shows the view; what this version does not know is left out."""
    wanted = view.sort.removeprefix("-")
    sort: SortKey = next((key for key in SORT_KEYS if key == wanted), "age")
    statuses = frozenset(status for status in STATUSES if status in view.status)
    return Place(
        view.tab if view.tab in {"tasks", "tracks"} else "tasks",
        view.query,
        statuses if view.tab != "tracks" else frozenset(),
        view.window if view.window in WINDOWS else "any time",
        (sort, view.sort.startswith("-")),
    )


def view_of(place: Place) -> View:
    """Return the place as a view; raises ValueError for a tab without a list."""
    if place.tab not in {"tasks", "tracks"}:
        raise ValueError("a view is one of Video Tasks or Tracks")
    if place.like_text is not None:
        raise ValueError("a search by words is not saved")
    key, is_reversed = place.sort
    return View(
        tab=place.tab,
        query=place.text,
        status=tuple(sorted(place.statuses)),
        window=place.window,
        sort=f"{'-' if is_reversed else ''}{key}" if place.sort != ("age", False) else "",
    )
