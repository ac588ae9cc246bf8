"""Jumps of the command palette: to a task by its id, source or class, found by the api."""

import asyncio
from functools import partial

from textual.command import Hit, Hits, Provider

from api.contract.query.tasks import TASKS
from api.contract.query.terms import Among, Query, Word, render
from api.contract.tasks import TaskResource
from console.client import calls
from console.errors import ConsoleError
from console.printable import printable
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import short_id
from console.tui.messages import OpenPlace, OpenTask
from console.tui.view_models.history import Place
from streamproc.contract.source_label import short_name

LEAST = 3
"""Letters from which on the api is asked."""
MAX_FOUND = 6
_TYPING_S = 0.2


class TaskJumps(Provider):
    """Finds tasks of the app's `backend`; the palette cancels a search when more is typed."""

    async def search(self, query: str) -> Hits:
        text = query.strip()
        if len(text) < LEAST:
            return
        for place, what in _places(text):
            yield Hit(0.3, what, partial(self.app.post_message, OpenPlace(place)), text=what)
        await asyncio.sleep(_TYPING_S)
        backend: ApiSession = self.app.backend  # type: ignore[attr-defined] # of ConsoleApp
        wanted = render(Query((Word(text),)), TASKS)
        try:
            page = await backend.ask(calls.tasks(q=wanted, limit=MAX_FOUND))
        except ConsoleError:
            return
        for task in page.data:
            shown = _label(task)
            score = 1.0 if task.id.endswith(text) else 0.8
            command = partial(self.app.post_message, OpenTask(task.id))
            yield Hit(score, shown, command, text=shown, help="Follow this task in Live")


def _places(text: str) -> list[tuple[Place, str]]:
    source = render(Query((Among("source", (f"*{text}*",)),)), TASKS)
    seen = render(Query((Among("class", (text.lower(),)),)), TASKS)
    return [
        (Place("tasks", source), printable(f"Tasks of a source with {text}")),
        (Place("tasks", seen), printable(f"Tasks with a {text.lower()}")),
        (Place("tracks", seen), printable(f"Tracks of class {text.lower()}")),
    ]


def _label(task: TaskResource) -> str:
    source = short_name(task.source) if task.source else ""
    return printable(f"Task {short_id(task.id)} {task.status} {source}".rstrip())
