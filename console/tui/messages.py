"""Textual messages: workers and widgets post them, handlers assign state, watchers draw it."""

from collections.abc import Callable
from typing import Literal

from textual.message import Message

from api.contract.system import SystemResource
from api.contract.tasks import TaskPage, TaskResource
from api.contract.tracks import TrackPage
from console.tui.drawing.frame_image import Shown
from console.tui.view_models.connection import ConnectionState
from console.tui.view_models.history import Place
from console.tui.view_models.track_search import TrackSearch
from console.tui.view_models.trajectories import TrackPath


class LinkChanged(Message):
    """The state of the connection to the api changed. A newer message replaces a waiting one."""

    def __init__(self, link: ConnectionState) -> None:
        super().__init__()
        self.link = link

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LinkChanged)


class TasksRead(Message):
    """A page of tasks was read.

    `place`: the first page, the `next` one into the gap, the `last` one (the first of the opposite
    order), the one `before` the loaded end, or, `again`, the tasks `asked` for by id. `generation`
    identifies the filter and order, so that pages of an earlier one can be ignored.
    """

    def __init__(
        self,
        page: TaskPage,
        place: Literal["first", "next", "last", "before", "again"],
        *,
        generation: int,
        asked: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.page = page
        self.place = place
        self.generation = generation
        self.asked = asked


class TaskRead(Message):
    """A newer state of one task was read."""

    def __init__(self, task: TaskResource) -> None:
        super().__init__()
        self.task = task


class TracksRead(Message):
    """A page of results of `search` was read: the first, the next, or the first polled again."""

    def __init__(
        self, search: TrackSearch, page: TrackPage, place: Literal["first", "next", "again"]
    ) -> None:
        super().__init__()
        self.search = search
        self.page = page
        self.place = place


class SearchFailed(Message):
    """A track search failed, for the reason `why`."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


class SystemRead(Message):
    """The state of the service and its latest failed tasks were read; None: those were not."""

    def __init__(self, system: SystemResource, failures: tuple[TaskResource, ...] | None) -> None:
        super().__init__()
        self.system = system
        self.failures = failures


class StallChanged(Message):
    """The followed stream is stalled, for the reason `why`; None: it moves again."""

    def __init__(self, task_id: str, why: str | None) -> None:
        super().__init__()
        self.task_id = task_id
        self.why = why


class FeedMoved(Message):
    """The followed stream has new data. Waiting messages are merged to one."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, FeedMoved)


class FeedNote(Message):
    """A note on the stream's connection; `tone` as in `console.tui.drawing.styled_text`."""

    def __init__(self, text: str, tone: str = "dim") -> None:
        super().__init__()
        self.text = text
        self.tone = tone


class PictureRead(Message):
    """The image of a frame, or the reason `why` there is none.

    `is_lasting`: the failure is permanent. `key` identifies the task or track of the request.
    """

    def __init__(
        self, key: str, shown: Shown | None, why: str = "", *, is_lasting: bool = False
    ) -> None:
        super().__init__()
        self.key = key
        self.shown = shown
        self.why = why
        self.is_lasting = is_lasting


class TrackPathRead(Message):
    """The trajectory of a track was read; `size_px` is the video's size, `key` is `task:track`."""

    def __init__(self, key: str, trail: TrackPath, size_px: tuple[int, int]) -> None:
        super().__init__()
        self.key = key
        self.trail = trail
        self.size_px = size_px


class PlaceChanged(Message):
    """The tab shows another page, or another part of it: `Tab.place` has changed."""


class OpenPlace(Message):
    """Show this place, which comes after the current one in the history."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class OpenTask(Message):
    """Show this task in the Live tab; with `offset`, hold the event at that byte of its log."""

    def __init__(self, task_id: str, offset: int | None = None) -> None:
        super().__init__()
        self.task_id = task_id
        self.offset = offset


class CopyText(Message):
    """Copy `text`; the toast has `title`, how it was copied, and `about`, what the text is."""

    def __init__(self, text: str, title: str, about: str = "") -> None:
        super().__init__()
        self.text = text
        self.title = title
        self.about = about


class OpenWall(Message):
    """Show these tasks on the wall; without any, all that run."""

    def __init__(self, task_ids: tuple[str, ...]) -> None:
        super().__init__()
        self.task_ids = task_ids


class OpenTasks(Message):
    """Show the tasks of this query in the Video Tasks tab."""

    def __init__(self, query: str) -> None:
        super().__init__()
        self.query = query


class PageText(Message):
    """Open `text` in the user's pager, as a file of this `name`."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__()
        self.text = text
        self.name = name


class PageLogs(Message):
    """Open the local stack's logs in the user's pager, that of the role `first` first."""

    def __init__(self, first: str) -> None:
        super().__init__()
        self.first = first


class EditText(Message):
    """Open `text` in the user's editor, as a file of this `name`.

    `edited` receives what the file has afterwards; it is not called if no editor could be run.
    """

    def __init__(self, text: str, name: str, edited: Callable[[str], object]) -> None:
        super().__init__()
        self.text = text
        self.name = name
        self.edited = edited


class OpenTrack(Message):
    """Show this track of a task in the Tracks tab."""

    def __init__(self, task_id: str, track_id: int) -> None:
        super().__init__()
        self.task_id = task_id
        self.track_id = track_id


class OpenSimilar(Message):
    """Search for tracks that look like this one: `task:track`."""

    def __init__(self, track: str) -> None:
        super().__init__()
        self.track = track
