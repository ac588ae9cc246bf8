"""A live task goes to a worker that has room for it, and is refused when there is none."""

import asyncio
from typing import Any

import msgspec
import pytest

from api.errors import InvalidRequestError, UnavailableError
from api.tasks import live_admission
from api.tasks.live_admission import LiveAdmission
from api.tasks.live_room import (
    PROMISE_MS,
    NoRoomError,
    Promises,
    UnknownSourceError,
    partitions_with_room,
)
from streamproc.contract.bounds import MAX_BEAT_SOURCES
from streamproc.contract.records import LiveSourceState, WorkerBeat
from streamproc.contract.task_spec import LiveOptions, SourceRef, TaskSpec

NOW_MS = 1_800_000_000_000


def beat(
    worker: str, partitions: tuple[int, ...], slots: int, busy: int, **more: Any
) -> WorkerBeat:
    plain = WorkerBeat(worker, "h", 1, 0, NOW_MS, "CPU", "f32", (), 4, 0, 0.0, 0, partitions)
    return msgspec.structs.replace(plain, live_slots=slots, live_busy=busy, **more)


def spec(url: str = "rtsp://camera.example/h264") -> TaskSpec:
    return TaskSpec(SourceRef(url=url), (), max_frames=None, live=LiveOptions())


def test_the_worker_with_the_most_room_gets_it() -> None:
    beats = [beat("a", (0, 2), 8, 7), beat("b", (1, 3), 8, 5), beat("c", (4,), 2, 0)]
    assert partitions_with_room(beats, {}) == (1, 3)
    assert partitions_with_room(beats, {1: 1, 3: 1}) == (4,)
    assert partitions_with_room(beats, {1: 3, 4: 2}) == (0, 2)


def test_no_room_is_said_with_the_numbers_of_all() -> None:
    beats = [beat("a", (0,), 2, 2), beat("b", (1,), 3, 2)]
    with pytest.raises(NoRoomError, match="5 of 5 live slots are in use"):
        partitions_with_room(beats, {1: 1})
    with pytest.raises(NoRoomError, match="no worker is alive"):
        partitions_with_room([], {})


def test_who_has_too_many_after_another_ones_death_has_no_room() -> None:
    assert partitions_with_room([beat("a", (0,), 2, 7), beat("b", (1,), 2, 1)], {}) == (1,)


@pytest.mark.parametrize(
    "unable",
    [
        beat("old", (), 8, 0),  # it has no partition: more workers than partitions
        beat("old", (1,), 0, 0),  # an older version
        beat("old", (1,), 8, 0, device_fault="GPU: not finite"),
        beat("old", (0,), 8, 0, beat_ms=NOW_MS - 9000),  # killed: another one has its partition
    ],
)
def test_who_cannot_take_it_does_not_get_it(unable: WorkerBeat) -> None:
    free, full = beat("new", (0,), 1, 0), beat("new", (0,), 1, 1)
    for beats in ([unable, free], [free, unable]):
        assert partitions_with_room(beats, {}) == (0,)
    for beats in ([unable, full], [full, unable]):
        with pytest.raises(NoRoomError):
            partitions_with_room(beats, {})


def test_a_named_source_goes_to_a_worker_that_has_it() -> None:
    far = beat("far", (0,), 8, 0, sources=("yard",))
    gate = beat("gate", (1,), 8, 7, sources=("gate", "yard"))
    assert partitions_with_room([far, gate], {}, "gate") == (1,)
    with pytest.raises(NoRoomError, match="8 of 8"):
        partitions_with_room([far, gate], {1: 1}, "gate")
    with pytest.raises(UnknownSourceError):
        partitions_with_room([far, gate], {}, "door")
    with pytest.raises(NoRoomError):  # nobody is there to ask
        partitions_with_room([], {}, "door")
    many = beat("many", (2,), 8, 0, sources=tuple(f"s{n}" for n in range(MAX_BEAT_SOURCES)))
    assert partitions_with_room([far, many], {}, "door") == (2,)


def test_a_promise_counts_until_a_heartbeat_names_the_task_or_time_is_over() -> None:
    promises, empty = Promises(), beat("a", (0, 1), 8, 0)
    for n, partition in enumerate((0, 1, 1)):
        promises.add(f"vt_{n}", partition, NOW_MS)
    assert promises.by_partition([empty], NOW_MS) == {0: 1, 1: 2}
    promises.drop("vt_0")
    named = beat("a", (0, 1), 8, 1, live=(LiveSourceState("vt_1", "connecting", NOW_MS),))
    assert promises.by_partition([named], NOW_MS + 1) == {1: 1}
    assert promises.by_partition([empty], NOW_MS + 2) == {1: 1}  # what was named once is not back
    assert promises.by_partition([empty], NOW_MS + PROMISE_MS) == {}
    promises.add("vt_9", 0, NOW_MS + 60_000)
    assert promises.by_partition([empty], NOW_MS) == {}  # a clock that was set back


def test_as_many_as_there_are_slots_are_admitted_between_two_heartbeats() -> None:
    beats = [beat("a", (0, 1), 2, 0), beat("b", (2,), 3, 1)]
    admission = LiveAdmission(lambda: beats)
    taken = []
    for n in range(4):
        with admission.partition(f"vt_{n}", spec(), NOW_MS) as partition:
            taken.append(partition)
    assert sorted(partition == 2 for partition in taken) == [False, False, True, True]
    with pytest.raises(UnavailableError) as full, admission.partition("vt_5", spec(), NOW_MS):
        pass
    assert (full.value.status, full.value.code) == (503, "live_full")
    assert full.value.headers["Retry-After"] == "10"
    assert "5 of 5" in full.value.detail


async def test_a_worker_that_has_no_partition_yet_is_waited_for() -> None:
    beats = [beat("a", (), 2, 0), beat("b", (1,), 1, 1)]
    admission = LiveAdmission(lambda: beats)
    waiting = asyncio.create_task(admission.wait_for_start(spec(), NOW_MS))
    await asyncio.sleep(0)
    assert not waiting.done()
    with (
        pytest.raises(UnavailableError, match=r"1 of 3 .* have no partition"),
        admission.partition("vt_1", spec(), NOW_MS),
    ):
        pass
    beats[0] = beat("a", (0,), 2, 0)
    await waiting
    with admission.partition("vt_2", spec(), NOW_MS) as partition:
        assert partition == 0


@pytest.mark.parametrize(
    "beats",
    [
        [beat("a", (0,), 1, 1)],
        [beat("a", (), 1, 1)],
        [beat("a", (), 1, 0), beat("b", (0,), 1, 0)],
    ],
)
async def test_nobody_waits_for_room_that_a_start_does_not_bring(beats: list[WorkerBeat]) -> None:
    waiting = asyncio.create_task(LiveAdmission(lambda: beats).wait_for_start(spec(), NOW_MS))
    await asyncio.sleep(0)
    assert waiting.done()
    await waiting


async def test_the_first_worker_of_all_is_waited_for() -> None:
    """It may be ready before the api has read its first heartbeat."""
    beats: list[WorkerBeat] = []
    admission = LiveAdmission(lambda: beats)
    waiting = asyncio.create_task(admission.wait_for_start(spec(), NOW_MS))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    beats.append(beat("a", (1,), 3, 0))
    await asyncio.wait_for(waiting, 3.0)
    with admission.partition("vt_1", spec(), NOW_MS) as partition:
        assert partition == 1


async def test_a_worker_that_is_given_no_partition_is_waited_for_in_vain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_admission, "START_WAIT_S", 0.2)
    admission = LiveAdmission(lambda: [beat("a", (), 1, 0)])
    await admission.wait_for_start(spec(), NOW_MS)
    with pytest.raises(UnavailableError), admission.partition("vt_1", spec(), NOW_MS):
        pass


def test_a_submission_that_failed_gives_its_room_back() -> None:
    admission = LiveAdmission(lambda: [beat("a", (0,), 1, 0)])
    with pytest.raises(OSError, match="planted"), admission.partition("vt_1", spec(), NOW_MS):
        raise OSError("planted")
    with admission.partition("vt_2", spec(), NOW_MS) as partition:
        assert partition == 0


def test_a_source_that_no_worker_has_is_an_error_of_the_request() -> None:
    admission = LiveAdmission(lambda: [beat("a", (0,), 1, 0, sources=("gate",))])
    with (
        pytest.raises(InvalidRequestError) as refused,
        admission.partition("vt_1", spec("camera:door"), NOW_MS),
    ):
        pass
    assert refused.value.errors == [
        {"field": "input[0].url", "message": "no worker has a source of this name"}
    ]
    with admission.partition("vt_1", spec("camera:gate"), NOW_MS) as partition:
        assert partition == 0
