"""What workers and widgets tell: workers post these, handlers assign, watchers draw."""

from typing import Literal

from textual.message import Message

from api.contract.resources import SystemResource, TaskPage, TaskResource, TrackPage
from console.tui.drawing.frame_image import Shown
from console.tui.view_models.connection import ConnectionState
from console.tui.view_models.track_search import TrackSearch
from console.tui.view_models.trajectories import Trail


class LinkChanged(Message):
    """The state of the connection to the api."""

    def __init__(self, link: ConnectionState) -> None:
        super().__init__()
        self.link = link

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LinkChanged)


class TasksRead(Message):
    """A page of tasks: the newest (`is_first`), or the one after the list's cursor.

    `generation` tells pages of an earlier filter apart.
    """

    def __init__(self, page: TaskPage, *, is_first: bool, generation: int) -> None:
        super().__init__()
        self.page = page
        self.is_first = is_first
        self.generation = generation


class TaskRead(Message):
    """One task's newer state."""

    def __init__(self, task: TaskResource) -> None:
        super().__init__()
        self.task = task


class TracksRead(Message):
    """A page of what `search` found: the first, the next, or the first asked for again."""

    def __init__(
        self, search: TrackSearch, page: TrackPage, place: Literal["first", "next", "again"]
    ) -> None:
        super().__init__()
        self.search = search
        self.page = page
        self.place = place


class SearchFailed(Message):
    """Why a search for tracks has no answer."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


class SystemRead(Message):
    """The state of the service and its latest failed tasks."""

    def __init__(self, system: SystemResource, failures: tuple[TaskResource, ...]) -> None:
        super().__init__()
        self.system = system
        self.failures = failures


class FeedMoved(Message):
    """The followed stream has more: any number of these waiting are one."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, FeedMoved)


class FeedNote(Message):
    """A sentence on the stream's connection; `tone` is of `console.tui.drawing.styled_text`."""

    def __init__(self, text: str, tone: str = "dim") -> None:
        super().__init__()
        self.text = text
        self.tone = tone


class PictureRead(Message):
    """The picture of a frame, or why there is none.

    `is_lasting`: asking again would not help. `key` says what it was asked for.
    """

    def __init__(
        self, key: str, shown: Shown | None, why: str = "", *, is_lasting: bool = False
    ) -> None:
        super().__init__()
        self.key = key
        self.shown = shown
        self.why = why
        self.is_lasting = is_lasting


class TrailRead(Message):
    """A track's way, in a video of `size_px`; `key` is `task:track`."""

    def __init__(self, key: str, trail: Trail, size_px: tuple[int, int]) -> None:
        super().__init__()
        self.key = key
        self.trail = trail
        self.size_px = size_px


class OpenTask(Message):
    """Show this task in the Live tab."""

    def __init__(self, task_id: str) -> None:
        super().__init__()
        self.task_id = task_id


class OpenSimilar(Message):
    """Search for tracks that look like this one: `task:track`."""

    def __init__(self, track: str) -> None:
        super().__init__()
        self.track = track
