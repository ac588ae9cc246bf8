"""Alerts: raised once, ended, seen; told by a toast and on wish the bell; each with its jump."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from api.contract.system import SystemResource
from api.contract.tasks import LiveSource, TaskResource
from console.tui.alert_desk import AlertDesk, notification
from console.tui.app import ConsoleApp
from console.tui.screens.alerts import AlertsScreen
from console.tui.screens.live import LiveTab
from console.tui.view_models.alerts import (
    MAX_ALERTS,
    MAX_FAILED,
    MAX_STALLED,
    AlertBook,
    Condition,
    source_conditions,
    stall_conditions,
    told,
)
from console.tui.view_models.failure_watch import FailureWatch
from console.tui.view_models.lag_watch import LagWatch, n_waiting
from console.tui.view_models.running_sweep import RunningRead
from console.tui.view_models.source_watch import SourceWatch
from console.tui.view_models.stall_watch import Stalled, StallWatch
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import StoppedClock, make_console, text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import NOW, Script

SIZE = (120, 36)


def service(script: Script) -> SystemResource:
    return msgspec.convert(script.answers["system"], SystemResource)


def failed_tasks(script: Script) -> list[TaskResource]:
    found = [task for task in script.tasks() if task["status"] == "failed"]
    return msgspec.convert(found, list[TaskResource])


def with_lag(script: Script, *, tasks: int, archive: int, busy: int) -> SystemResource:
    script.answers["system"]["workers"][0]["busy"] = busy
    script.answers["system"]["lag"] = [
        {"group": "framewire-worker", "topic": "video.tasks", "partition": 0, "lag": tasks},
        {"group": "framewire-archive", "topic": "video.chunks", "partition": 0, "lag": archive},
        {"group": "framewire-archive", "topic": "video.chunks", "partition": 1, "lag": None},
    ]
    return service(script)


def test_a_condition_is_raised_once_ends_and_is_a_new_alert_when_it_comes_back() -> None:
    book, away = AlertBook(), Condition("part", "s3", "S3 does not work", "no answer")
    (alert,) = book.observe({"part"}, [away], NOW)
    assert (alert.raised, alert.ended, book.n_unseen) == (NOW, None, 1)
    later = away._replace(detail="refused")
    assert book.observe({"part"}, [later], NOW + timedelta(seconds=5)) == ()
    assert book.alerts[0].condition.detail == "refused"
    assert book.alerts[0].raised == NOW
    book.see_all()
    assert book.n_unseen == 0
    assert book.observe({"worker"}, [], NOW) == ()  # says nothing about parts
    assert book.alerts[0].ended is None
    ended = NOW + timedelta(seconds=9)
    assert book.observe({"part"}, [], ended) == ()
    assert book.alerts[0].ended == ended
    (again,) = book.observe({"part"}, [away], NOW + timedelta(seconds=20))
    assert (again.seen, again.ended, len(book.alerts), book.n_unseen) == (False, None, 1, 1)


def test_a_task_that_has_failed_is_told_once_with_the_time_of_its_end(script: Script) -> None:
    book, watch = AlertBook(), FailureWatch(NOW - timedelta(hours=1))
    first, second = failed_tasks(script)
    (alert,) = book.take_failures(watch.take([second], 1, NOW), NOW)
    assert alert.condition.subject == second.id
    assert alert.raised.isoformat(timespec="milliseconds")[:23] == (second.finished_at or "")[:23]
    (alert,) = book.take_failures(watch.take([first, second], 2, NOW), NOW)
    assert alert.condition.subject == first.id
    assert book.take_failures(watch.take([first, second], 2, NOW), NOW) == ()
    book.clear_ended()
    assert len(book.alerts) == 2  # not seen yet
    book.see_all()
    book.clear_ended()
    assert book.alerts == []
    assert book.take_failures(watch.take([first, second], 2, NOW), NOW) == ()


def test_failures_are_asked_for_since_a_little_before_the_last_reading() -> None:
    watch = FailureWatch(NOW - timedelta(hours=9))
    assert watch.query(NOW) == "status:failed ended<32402s"
    watch.take([], 0, NOW)
    later = NOW + timedelta(hours=2)  # nothing could be read for two hours
    assert watch.query(later) == f"status:failed ended<{2 * 3600 + 600 + 2}s"
    new = FailureWatch(NOW)
    new.take([], 0, NOW + timedelta(seconds=5))
    assert new.query(NOW + timedelta(seconds=10)) == "status:failed ended<12s"


def test_failures_beyond_a_bound_are_one_alert_each_time_there_are_more(script: Script) -> None:
    book, watch = AlertBook(), FailureWatch(NOW)
    task = failed_tasks(script)[0]
    many = [msgspec.structs.replace(task, id=f"vt_{n:026d}") for n in range(MAX_FAILED + 20)]
    alerts = book.take_failures(watch.take(many, len(many) + 1300, NOW), NOW)
    assert len(alerts) == MAX_FAILED + 1
    assert alerts[-1].condition[:1] + alerts[-1].condition[2:3] == (
        "failures",
        "1 320 more tasks failed",
    )
    later = NOW + timedelta(seconds=5)
    assert book.take_failures(watch.take(many, len(many) + 1300, later), later) == ()
    (alert,) = book.take_failures(watch.take(many, len(many) + 1301, later), later)
    assert alert.condition.title == "1 more task failed"


def running(script: Script, frames: int, task_id: str = "vt_1", **more: Any) -> TaskResource:
    task = next(task for task in script.tasks() if task["status"] == "running")
    changed = {"id": task_id, "started_at": NOW.isoformat()} | more
    progress = task["progress"] | {"processed_frames": frames}
    return msgspec.convert(task | changed | {"progress": progress}, TaskResource)


def listed(*tasks: TaskResource) -> RunningRead:
    """All running tasks, in one reading."""
    return RunningRead(tasks, frozenset(), len(tasks))


def test_a_running_task_is_stalled_when_its_own_log_stands_still_too(script: Script) -> None:
    watch, now = StallWatch(), NOW + timedelta(seconds=10)
    assert watch.take(listed(running(script, 100)), 4, now, 0.0) == ()
    assert watch.take(listed(running(script, 100)), 4, now, 19.0) == ()
    assert watch.take(listed(running(script, 100)), 4, now, 20.0) == ("vt_1",)
    assert watch.stalled() == []  # only the index may be late
    watch.take_own(running(script, 130), now, 20.0)
    assert watch.take(listed(running(script, 100)), 4, now, 39.0) == ()
    assert watch.take(listed(running(script, 130)), 4, now, 40.0) == ("vt_1",)
    watch.take_own(running(script, 130), now, 40.0)
    assert [(one.task.id, one.idle_s) for one in watch.stalled()] == [("vt_1", 20.0)]
    assert watch.take(listed(running(script, 130)), 4, now, 49.0) == ()
    assert watch.take(listed(running(script, 130)), 4, now, 50.0) == ("vt_1",)  # asked again
    watch.take(listed(running(script, 131)), 4, now, 52.0)
    assert watch.stalled() == []
    watch.take(listed(running(script, 131)), 4, now, 80.0)
    watch.take_own(running(script, 131, status="succeeded"), now, 80.0)
    assert watch.stalled() == []


def test_a_task_that_is_slow_or_waits_for_its_turn_is_not_stalled(script: Script) -> None:
    slow, now = StallWatch(), NOW + timedelta(seconds=120)
    for at_s, due in ((0, ()), (59, ()), (89, ()), (90, ("vt_1",))):  # 30 s for a frame
        assert slow.take(listed(running(script, 4)), 4, now, float(at_s)) == due, at_s
    turns = StallWatch()
    many = [running(script, 900, f"vt_{n}") for n in range(40)]
    for at_s, n_due in ((0, 0), (50, 0), (90, 8)):  # ten slices of 3 s until each had its turn
        assert len(turns.take(listed(*many), 4, now, float(at_s))) == n_due, at_s


def test_many_stalled_tasks_are_a_few_alerts_and_one_for_the_rest(script: Script) -> None:
    stalled = [Stalled(running(script, 1, f"vt_{n:026d}"), 30.0) for n in range(MAX_STALLED + 7)]
    conditions = stall_conditions(stalled, "no worker alive")
    assert len(conditions) == MAX_STALLED + 1
    assert conditions[0].detail == "no frame for 30 s: no worker alive"
    source = LiveSource("lost", NOW.isoformat(), "source_timeout", 1, None, 0.0, None, None)
    lost = running(script, 1, live=msgspec.to_builtins(source))
    (condition,) = stall_conditions([Stalled(lost, 30.0)], "no chunk from its worker")
    assert condition.detail == "no frame for 30 s: its source is lost, source_timeout"
    assert (conditions[-1].title, conditions[-1].detail) == (
        "7 more tasks stalled",
        "no worker alive",
    )
    *_, others = stall_conditions(stalled, "no worker alive", n_suspects=9000)
    assert others.detail == "no worker alive; 9 000 more have no new frame in the list"
    assert len({one.key for one in conditions}) == MAX_STALLED + 1


def camera(
    script: Script, state: str, frame_s: float, *, keys_s: float = 2.0, task_id: str = "vt_1"
) -> TaskResource:
    """A running live task, whose last frame came at this time."""
    at = (NOW + timedelta(seconds=frame_s)).isoformat()
    code = None if state == "live" else "source_timeout"
    source = LiveSource(state, NOW.isoformat(), code, 1, at, 4.9, 150, keys_s)
    return running(script, 100, task_id, live=msgspec.to_builtins(source))


def blind(watch: SourceWatch, at_s: float) -> list[tuple[bool, float]]:
    return [(one.is_lost, one.away_s) for one in watch.blind(at_s)]


def test_a_live_source_is_silent_when_its_last_frame_stays_the_same(script: Script) -> None:
    watch = SourceWatch()
    for at_s, frame_s in ((0, 0), (5, 4), (10, 9), (15, 9), (19, 9)):
        watch.take(listed(camera(script, "live", frame_s)), float(at_s))
        assert blind(watch, at_s) == []
    watch.take(listed(camera(script, "live", 9)), 20.0)
    assert blind(watch, 20.0) == [(False, 10.0)]
    watch.take(listed(camera(script, "live", 21)), 22.0)
    assert blind(watch, 22.0) == []
    watch.take(listed(camera(script, "lost", 21)), 23.0)
    assert blind(watch, 23.0) == [(True, 0.0)]  # at once: the worker says so
    watch.take(listed(camera(script, "lost", 21)), 30.0)
    assert blind(watch, 30.0) == [(True, 7.0)]
    watch.take(listed(camera(script, "connecting", 21)), 90.0)
    assert blind(watch, 190.0) == []
    watch.take(listed(running(script, 5)), 200.0)  # no worker has it: it may be stalled
    assert blind(watch, 300.0) == []


def test_a_source_with_few_frames_is_silent_later(script: Script) -> None:
    watch = SourceWatch()
    watch.take(listed(camera(script, "live", 0)), 0.0)
    for at_s, found in ((30.0, []), (89.9, []), (90.0, [(False, 60.0)])):  # a frame in 30 s
        watch.take(listed(camera(script, "live", 30)), at_s)
        assert blind(watch, at_s) == found, at_s
    by_keys = SourceWatch()
    for at_s, found in ((0.0, []), (39.9, []), (40.0, [(False, 40.0)])):
        by_keys.take(listed(camera(script, "live", 0, keys_s=20.0)), at_s)
        assert blind(by_keys, at_s) == found, at_s


def test_a_lost_source_is_one_alarm_and_not_called_stalled_too(script: Script) -> None:
    said: list[str] = []
    clock = StoppedClock()
    desk = AlertDesk(clock, said.append, lambda: None, None)
    desk.take(service(script))
    desk.take_running([camera(script, "live", 0)])
    desk.take_stall("vt_1", "lost: source_timeout")  # the followed stream said it first
    (followed,) = desk.book.alerts
    assert followed.key == "stream:vt_1"
    desk.take_running([camera(script, "lost", 0)])
    desk.tell_stalls()
    open_ones = [one for one in desk.book.alerts if one.ended is None]
    assert [one.key for one in open_ones] == ["source:vt_1"]
    assert open_ones[0].condition.title.endswith("is lost")
    assert open_ones[0].condition.detail == f"source_timeout, since {NOW.isoformat()}"
    desk.take_running([camera(script, "live", 1)])
    (alert,) = [one for one in desk.book.alerts if one.key == "source:vt_1"]
    assert alert.ended is not None


def test_many_lost_sources_are_a_few_alerts_and_one_for_the_rest(script: Script) -> None:
    watch = SourceWatch()
    lost = [camera(script, "lost", 0, task_id=f"vt_{n:026d}") for n in range(MAX_STALLED + 7)]
    watch.take(listed(*lost), 0.0)
    conditions = source_conditions(watch.blind(1.0))
    assert len(conditions) == MAX_STALLED + 1
    assert conditions[-1].title == "7 more live sources without frames"


def test_the_alerts_are_bounded_and_what_goes_on_is_kept() -> None:
    book = AlertBook()
    book.observe({"part"}, [Condition("part", "s3", "S3 does not work")], NOW)
    for i in range(3 * MAX_ALERTS):
        at = NOW + timedelta(seconds=i + 1)
        book.observe({"worker"}, [Condition("worker", f"w{i}", "is gone")], at)
    assert len(book.alerts) == MAX_ALERTS
    assert book.get("part:s3") is not None
    assert told([*book.alerts[:3]])[2] == book.alerts[2].condition.title
    assert told(book.alerts)[2] == f"{MAX_ALERTS - 2} more alerts"


def test_tasks_that_wait_for_thirty_seconds_are_an_alert_and_those_at_work_are_not(
    script: Script,
) -> None:
    watch = LagWatch()
    for at_s in range(0, 100, 2):
        assert watch.take(with_lag(script, tasks=2, archive=9, busy=2), at_s) == []
    found: list[float] = []
    for at_s in range(100, 140, 2):
        backlogs = watch.take(with_lag(script, tasks=7, archive=9, busy=2), at_s)
        if backlogs:
            ((key, _, messages, since_s, is_waiting),) = backlogs
            assert (key, messages, is_waiting) == ("framewire-worker/video.tasks", 5, True)
            assert since_s == at_s - 100
            found.append(at_s)
    assert found[0] == 130
    assert watch.take(with_lag(script, tasks=2, archive=9, busy=2), 140) == []
    assert watch.take(with_lag(script, tasks=7, archive=9, busy=2), 142) == []


def test_live_tasks_at_work_do_not_wait(script: Script) -> None:
    """Kafka counts the message of a live task for as long as a worker has it."""
    watch, worker = LagWatch(), script.answers["system"]["workers"][0]
    worker |= {"busy": 1, "slots": 4, "live_busy": 3, "live_slots": 8}
    lag = {"group": "framewire-worker", "topic": "video.live", "partition": 0, "lag": 3}
    script.answers["system"]["lag"] = [lag, lag | {"topic": "video.tasks", "lag": 1}]
    assert [watch.take(service(script), float(at_s)) for at_s in (0, 40)] == [[], []]
    assert n_waiting(service(script)) == 0
    lag["lag"] = 5
    assert [len(watch.take(service(script), float(at_s))) for at_s in (50, 90)] == [0, 1]
    assert n_waiting(service(script)) == 2


@pytest.mark.parametrize("lags", [[0] * 40, [27] * 40, [0, 40, 80] * 20, list(range(400, 0, -10))])
def test_a_consumer_that_keeps_up_is_no_alert(script: Script, lags: list[int]) -> None:
    watch = LagWatch()
    for i, lag in enumerate(lags):
        assert watch.take(with_lag(script, tasks=0, archive=lag, busy=0), 2.0 * i) == []


def test_a_consumer_that_falls_behind_is_an_alert_until_it_has_caught_up(script: Script) -> None:
    watch = LagWatch()
    lags = [*range(0, 300, 10), *range(300, 0, -10)]
    told_at = [
        2 * i
        for i, lag in enumerate(lags)
        if watch.take(with_lag(script, tasks=0, archive=lag, busy=0), 2.0 * i)
    ]
    assert told_at[0] == 30
    assert told_at == list(range(30, told_at[-1] + 2, 2))
    assert lags[told_at[-1] // 2] >= 70 > lags[told_at[-1] // 2 + 1]  # as it was half of 30 s in


def test_a_terminals_notification_has_no_control_characters_of_others() -> None:
    said = notification(["a\x1b]52;c;AAAA\x07b", "c" * 500], {}, bell=True, notify=True)
    assert said.startswith("\a\x1b]9;framewire: a\\x1b]52;c;AAAA\\x07b · ccc")
    assert said.endswith("c\a")
    assert said.count("\x1b") == 1
    assert "\a" not in said[1:-1]
    assert len(said) < 250


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-256color"}, "\x1b]9;framewire: a\a"),
        ({"TMUX": "/tmp/tmux-0/default,1,0"}, "\x1bPtmux;\x1b\x1b]9;framewire: a\a\x1b\\"),
        ({"TERM": "tmux-256color"}, "\x1bPtmux;\x1b\x1b]9;framewire: a\a\x1b\\"),
        ({"STY": "1.pts", "TERM": "screen"}, "\x1bP\x1b]9;framewire: a\a\x1b\\"),
    ],
)
def test_a_notification_reaches_the_terminal_behind_a_multiplexer(
    environ: dict[str, str], expected: str
) -> None:
    assert notification(["a"], environ, bell=False, notify=True) == expected
    assert notification(["a"], environ, bell=True, notify=False) == "\a"
    assert notification(["a"], environ, bell=True, notify=True) == f"\a{expected}"


@pytest.mark.parametrize("wished", [True, False])
def test_the_bell_rings_once_for_a_reading_and_only_on_wish(
    script: Script, *, wished: bool
) -> None:
    rung: list[Sequence[str]] = []
    said: list[str] = []
    desk = AlertDesk(StoppedClock(), said.append, lambda: None, rung.append if wished else None)
    desk.take(service(script))
    assert (said, rung) == ([], [])
    script.answers["system"]["workers"][0]["alive"] = False
    script.answers["system"]["parts"][1] |= {"ready": False, "detail": "no answer"}
    desk.take(service(script))
    desk.take(service(script))
    assert len(said) == 2
    assert said[0] == "S3 does not work: no answer"
    assert len(rung) == wished
    desk.take_stall("vt_1", "no worker alive")
    desk.take_stall("vt_1", None)
    assert said[2] == "stream is stalled: no worker alive"
    assert len(rung) == 2 * wished


def fail_one(script: Script) -> str:
    task = next(task for task in script.tasks() if task["status"] == "running")
    task["status"] = "failed"
    task["finished_at"] = NOW.isoformat()
    task["error"] = {"code": "decode_failed", "message": "The video ends within a frame."}
    return str(task["id"])


async def test_a_failed_task_is_told_on_every_tab_and_the_list_goes_to_it(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        bar = console.query_one("#topbar")
        await pilot.press("3")
        await until(pilot, lambda: "ready" in text_of(bar))
        failed = fail_one(script)
        await until(pilot, lambda: "!1 " in text_of(bar))
        (toast,) = console._notifications
        assert toast.message.endswith("failed: decode_failed: The video ends within a frame.")
        await typed(pilot, console, "!", "enter")
        await until(pilot, lambda: console.active == "live")
        assert console.query_one(LiveTab).task_id == failed
        await until(pilot, lambda: "!1 " not in text_of(bar))


async def test_a_dead_worker_is_listed_with_its_end_and_the_jump_is_its_row(
    console: ConsoleApp, script: Script
) -> None:
    system = script.answers["system"]
    other = json.loads(json.dumps(system["workers"][0])) | {"id": "worker-0"}
    system["workers"].append(other)
    async with console.run_test(size=SIZE) as pilot:
        bar = console.query_one("#topbar")
        await until(pilot, lambda: "ready" in text_of(bar))
        system["workers"][0]["alive"] = False
        await until(pilot, lambda: "!1 " in text_of(bar))
        await typed(pilot, console, "!")
        assert isinstance(console.screen, AlertsScreen)
        listing = console.screen.query_one("#alerts", Listing)
        await until(pilot, lambda: "▲ now" in text_of(listing))
        assert "worker worker-1 is gone" in text_of(listing)
        await pilot.press("enter")
        workers = console.query_one("#workers", Listing)
        await until(pilot, lambda: workers.key == "worker-1")
        assert console.active == "system"
        assert console.focused is workers
        assert workers.cursor == 1  # the living one is first
        system["workers"][0]["alive"] = True
        await typed(pilot, console, "!")
        listing = console.screen.query_one("#alerts", Listing)
        await until(pilot, lambda: "✔" in text_of(listing))
        await pilot.press("x")
        await until(pilot, lambda: "Nothing happened" in text_of(listing))
        await pilot.press("escape")
        assert console.screen is console.screen_stack[0]


async def test_the_header_has_the_worst_and_the_alerts_at_eighty_columns(
    url: str, script: Script
) -> None:
    script.answers["system"]["workers"][0]["alive"] = False
    script.answers["system"]["parts"][1]["ready"] = False
    console = make_console(url)
    async with console.run_test(size=(80, 24)) as pilot:
        bar: Any = console.query_one("#topbar")
        await until(pilot, lambda: "!2 ▲ no worker" in text_of(bar))
