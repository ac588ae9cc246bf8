"""What alerts read of all failed and all running tasks, over HTTP, with a clock that is turned."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from api.contract.system import SystemResource
from api.contract.tasks import LiveSource, TaskResource
from console.client.endpoint import Endpoint
from console.errors import ApiProblem
from console.tui.alert_desk import AlertDesk
from console.tui.api_session import ApiSession
from console.tui.attention import read_attention
from console.tui.clock import Clock
from console.tui.view_models import running_sweep
from console.tui.view_models.alerts import MAX_STALLED
from console.tui.view_models.stall_watch import MAX_CHECKED
from tests.console.tui.recorded_api import KEY, NOW, Script


class TurnedClock(Clock):
    passed_s = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed_s)

    def monotonic_s(self) -> float:
        return self.passed_s


class Watched:
    """A desk with its session; `said` are the toasts."""

    def __init__(self, url: str, script: Script, acknowledged: datetime | None = None) -> None:
        self.clock, self.said = TurnedClock(), list[str]()
        self.script = script
        self.session = ApiSession(Endpoint(url, KEY), lambda _: None, self.clock)
        self.desk = AlertDesk(
            self.clock, self.said.append, lambda: None, None, lambda project: acknowledged
        )

    async def read(self, at_s: float) -> Sequence[str]:
        """Read at a time; return what is told anew."""
        self.clock.passed_s = at_s
        before = len(self.said)
        self.desk.take(msgspec.convert(self.script.answers["system"], SystemResource))
        await read_attention(self.session, self.desk)
        return self.said[before:]


@pytest.fixture
async def sessions() -> AsyncIterator[list[Watched]]:
    made: list[Watched] = []
    yield made
    for one in made:
        await one.session.close()


def add(script: Script, n: int, **changes: Any) -> dict[str, Any]:
    """Add a task like a running one, older than all others."""
    task: dict[str, Any] = json.loads(json.dumps(script.tasks()[0]))
    task |= {"id": f"vt_{n:026d}", "created_at": "2026-11-20T00:00:00.000Z"} | changes
    script.tasks().append(task)
    script.answers["full"][task["id"]] = task
    return task


def failed(at: datetime) -> dict[str, Any]:
    error = {"code": "decode_failed", "message": "cut"}
    return {"status": "failed", "finished_at": at.isoformat(), "error": error}


async def test_every_failed_task_is_found_however_long_ago_it_was_submitted(
    url: str, script: Script, sessions: list[Watched]
) -> None:
    del script.tasks()[1:]
    script.page = 2  # the other pages are read as well
    watched = Watched(url, script)
    sessions.append(watched)
    for n in range(60):
        add(script, n, **failed(NOW - timedelta(hours=1)))
    assert await watched.read(0.0) == []  # these failed before anybody looked
    for n in range(60, 65):
        add(script, n, **failed(NOW + timedelta(seconds=4)))
    assert (await watched.read(5.0))[-1] == "3 more alerts"
    assert {alert.condition.subject for alert in watched.desk.book.alerts} == {
        f"vt_{n:026d}" for n in range(60, 65)
    }
    assert await watched.read(10.0) == []


async def test_what_failed_since_the_alerts_were_looked_at_is_told_at_the_next_start(
    url: str, script: Script, sessions: list[Watched]
) -> None:
    last = NOW - timedelta(hours=3)
    add(script, 1, **failed(last - timedelta(minutes=1)))
    missed = add(script, 2, **failed(last + timedelta(minutes=1)))
    watched = Watched(url, script, acknowledged=last)
    sessions.append(watched)
    await watched.read(0.0)
    subjects = {alert.condition.subject for alert in watched.desk.book.alerts}
    assert missed["id"] in subjects
    assert f"vt_{1:026d}" not in subjects
    assert watched.desk.since == last
    watched.desk.see_all()
    assert watched.desk.since == NOW


async def test_every_running_task_that_stands_still_is_told_and_which_moves_is_not(
    url: str, script: Script, sessions: list[Watched]
) -> None:
    moves, late, still = (add(script, n) for n in (1, 2, 3))
    del script.tasks()[:-3]
    own_progress = dict(late["progress"])
    script.unlisted[late["id"]] = {"progress": own_progress}
    watched = Watched(url, script)
    sessions.append(watched)
    told: list[str] = []
    for at_s in range(0, 40, 5):
        for progress in (moves["progress"], own_progress):
            progress["processed_frames"] += 7
        told += await watched.read(float(at_s))
    (alert,) = watched.desk.book.alerts
    assert told == [f"{alert.condition.title}: no frame for 20 s: no chunk from its worker"]
    assert (alert.condition.kind, alert.condition.subject) == ("stream", still["id"])
    assert alert.condition.detail == "no frame for 35 s: no chunk from its worker"
    script.answers["system"]["workers"][0]["alive"] = False
    await watched.read(40.0)
    (alert,) = [one for one in watched.desk.book.alerts if one.condition.kind == "stream"]
    assert alert.condition.detail == "no frame for 40 s: no worker alive"
    still["progress"]["processed_frames"] += 1
    await watched.read(45.0)
    (alert,) = [one for one in watched.desk.book.alerts if one.condition.kind == "stream"]
    assert alert.ended == NOW + timedelta(seconds=45)


async def test_more_running_tasks_than_a_reading_has_are_watched_in_turns(
    url: str, script: Script, sessions: list[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    script.page = 2
    monkeypatch.setattr(running_sweep, "PAGES", 5)
    tasks = [add(script, n) for n in range(60)]
    del script.tasks()[:-60]
    script.answers["system"]["workers"][0]["slots"] = 60
    watched = Watched(url, script)
    sessions.append(watched)
    told: list[str] = []
    for reading in range(18):  # three rounds
        for n, task in enumerate(tasks):
            task["progress"]["processed_frames"] += 0 if n == 55 else 7
        before = len(script.asked("GET", "/v1/video/tasks"))
        told += await watched.read(5.0 * reading)
        lists = script.asked("GET", "/v1/video/tasks")[before:]
        assert sum("q" not in one for one in lists) == 5
    (alert,) = watched.desk.book.alerts
    assert alert.condition.subject == tasks[55]["id"]
    assert len(told) == 1
    assert "no frame for" in told[0]


async def test_a_cursor_that_the_api_does_not_take_begins_the_round_anew(
    url: str, script: Script, sessions: list[Watched]
) -> None:
    watched = Watched(url, script)
    sessions.append(watched)
    await watched.read(0.0)
    listed = msgspec.convert(script.tasks()[:1], list[TaskResource])
    watched.desk.take_running(listed, "of another version")
    with pytest.raises(ApiProblem):
        await watched.read(5.0)
    await watched.read(10.0)
    assert script.asked("GET", "/v1/video/tasks")[-1].get("cursor") is None


TEN_THOUSAND = 10_000


def ten_thousand(script: Script, at_s: float, still: set[int], silent: int) -> list[TaskResource]:
    """Running tasks of which all but some have new frames at any time; one is a live source."""
    plain = msgspec.convert(script.tasks()[0], TaskResource)
    progress, frames = plain.progress, 100_000 + round(at_s * 10)
    moves = msgspec.structs.replace(progress, processed_frames=frames)
    stands = msgspec.structs.replace(progress, processed_frames=100_000)
    source = LiveSource("live", NOW.isoformat(), None, 1, NOW.isoformat(), 4.9, 150, 2.0)
    found = []
    for n in range(TEN_THOUSAND):
        task_progress = stands if n in still or n == silent else moves
        task = msgspec.structs.replace(plain, id=f"vt_{n:026d}", progress=task_progress)
        if n == silent:
            task = msgspec.structs.replace(task, live=source)
        found.append(task)
    return found


def test_ten_thousand_running_tasks_are_watched(script: Script) -> None:
    script.answers["system"]["workers"][0]["slots"] = TEN_THOUSAND
    clock, size = TurnedClock(), running_sweep.PAGE * running_sweep.PAGES
    desk = AlertDesk(clock, lambda _: None, lambda: None, None)
    still, silent = {3, 1500, 9999}, 7000
    for reading in range(25):
        clock.passed_s = 5.0 * reading
        desk.take(msgspec.convert(script.answers["system"], SystemResource))
        start = int(desk.running_cursor or 0)
        tasks = ten_thousand(script, clock.passed_s, still, silent)
        end = start + size
        cursor = str(end) if end < TEN_THOUSAND else None
        for task_id in desk.take_running(tasks[start:end], cursor):
            desk.take_own(tasks[int(task_id.removeprefix("vt_"))])
        desk.tell_stalls()
    found = {alert.condition.key for alert in desk.book.alerts}
    assert found == {f"stream:vt_{n:026d}" for n in still} | {f"source:vt_{silent:026d}"}


def test_ten_thousand_stalled_tasks_are_a_few_alerts_and_their_number(script: Script) -> None:
    script.answers["system"]["workers"][0]["alive"] = False
    clock, size = TurnedClock(), running_sweep.PAGE * running_sweep.PAGES
    desk = AlertDesk(clock, lambda _: None, lambda: None, None)
    everybody = set(range(TEN_THOUSAND))
    tasks = ten_thousand(script, 0.0, everybody, -1)
    for reading in range(30):
        clock.passed_s = 5.0 * reading
        desk.take(msgspec.convert(script.answers["system"], SystemResource))
        start = int(desk.running_cursor or 0)
        end = start + size
        checked = desk.take_running(tasks[start:end], str(end) if end < TEN_THOUSAND else None)
        assert len(checked) <= MAX_CHECKED
        for task_id in checked:
            desk.take_own(tasks[int(task_id.removeprefix("vt_"))])
        desk.tell_stalls()
    streams = [one for one in desk.book.alerts if one.condition.kind == "stream"]
    assert len(streams) == MAX_STALLED + 1
    (others,) = (one.condition for one in streams if "more tasks stalled" in one.condition.title)
    n_stalled = int(others.title.split()[0])
    n_unread = int(others.detail.split("; ")[1].split(" more")[0].replace(" ", ""))
    assert MAX_STALLED + n_stalled + n_unread == TEN_THOUSAND
