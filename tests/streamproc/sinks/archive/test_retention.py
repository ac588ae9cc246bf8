"""Segments of live tasks go by age; offsets, the end and everything after them stay."""

import threading

import msgspec
import pytest

from streamproc.contract import env
from streamproc.contract.object_keys import (
    LIVE,
    Expired,
    expired_key,
    final_key,
    latest_key,
    live_key,
    request_key,
    segment_start,
    vectors_key,
)
from streamproc.contract.recordings import piece_key
from streamproc.contract.setting_error import SettingError
from streamproc.contract.task_spec import LiveOptions, Recording
from streamproc.errors import StoreUnavailableError
from streamproc.sinks.archive import retention
from streamproc.sinks.archive.retention import DAY_MS, LATE_PIECE_MS, Retention, sweep
from streamproc.sinks.archive.segments import first_kept, segments
from streamproc.sinks.maintenance.rebuild import rebuild
from streamproc.sinks.maintenance.verify import verify
from streamproc.sinks.settings import ArchiveSettings
from tests.streamproc.sinks.archive.test_live import Archive, Camera
from tests.streamproc.sinks.logs import PROJECT, MemoryObjects, submitted

NOW_MS = 2_000_000_000_000


def camera_of(
    days: int | None = None, *, vectors: bool = False, record_s: int | None = None
) -> Camera:
    """Return a camera whose log has ten segments, each stored a day after the one before."""
    camera = Camera(vectors=vectors)
    record = None if record_s is None else Recording(record_s)
    options = LiveOptions(retention_days=days, record=record)
    request = msgspec.json.encode(submitted(camera.log.task, live=options))
    camera.store.stored[request_key(PROJECT, camera.log.task)] = (request, {})
    camera.play(range(400))
    del camera.store.stored[live_key(PROJECT, camera.log.task)]
    restarted(camera)
    for n, key in enumerate(keys(camera)[-10:]):
        camera.store.stored_ms[key] = NOW_MS - (10 - n) * DAY_MS + DAY_MS // 2
    return camera


def restarted(camera: Camera) -> None:
    committed = camera.archive.archiver.committable()
    camera.archive = Archive(camera.store, committed)
    camera.archive.accept(*camera.partition.records[committed:])


def keys(camera: Camera) -> list[str]:
    return [key for key, _, _ in segments(camera.store, PROJECT, camera.log.task)]


def starts(camera: Camera) -> list[int]:
    return [segment_start(key) for key in keys(camera)]


@pytest.mark.parametrize(("setting", "own", "n_left"), [(3, None, 3), (30, 4, 4), (3, 0, None)])
def test_segments_go_by_their_age(setting: int, own: int | None, n_left: int | None) -> None:
    camera = camera_of(own)
    before = starts(camera)
    n_deleted = sweep(camera.store, setting, NOW_MS)
    wanted = before if n_left is None else before[-n_left:]
    assert starts(camera) == wanted
    assert n_deleted == len(before) - len(wanted)
    assert first_kept(camera.store, PROJECT, camera.log.task) == (wanted[0] if n_deleted else 0)
    assert sweep(camera.store, setting, NOW_MS) == 0


def test_a_setting_of_0_keeps_all() -> None:
    camera = camera_of()
    before = starts(camera)
    assert sweep(camera.store, 0, NOW_MS + 100 * DAY_MS) == 0
    assert starts(camera) == before


def test_vectors_go_with_their_segment() -> None:
    camera = camera_of(vectors=True)
    before = starts(camera)
    sweep(camera.store, 3, NOW_MS)
    left = set(starts(camera))
    for start in before:
        there = camera.store.head(vectors_key(PROJECT, camera.log.task, start)) is not None
        assert there == (start in left)


def test_the_last_segment_stays_and_the_log_goes_on_behind_it() -> None:
    camera = camera_of()
    length = camera.log.end
    sweep(camera.store, 3, NOW_MS + 100 * DAY_MS)
    (start,) = starts(camera)
    restarted(camera)
    camera.play(range(400, 500))
    camera.archive.flush()
    assert starts(camera)[0] == start
    kept = b"".join(camera.store.get(key) or b"" for key in keys(camera))
    assert kept == camera.log.log[start:]
    assert camera.log.end > length


def test_verify_and_reindex_take_a_log_without_its_beginning() -> None:
    camera = camera_of()
    sweep(camera.store, 3, NOW_MS)
    assert list(verify(camera.store, None)) == []
    *_, rows = rebuild(camera.store, PROJECT, camera.log.task)
    (row,) = rows.tasks
    assert row.log_length == segments_end(camera)
    assert row.provider == "local"


def segments_end(camera: Camera) -> int:
    return max(end for _, _, end in segments(camera.store, PROJECT, camera.log.task))


def test_a_log_whose_beginning_is_lost_is_damaged() -> None:
    camera = camera_of()
    del camera.store.stored[keys(camera)[0]]
    (found,) = verify(camera.store, None)
    assert "begins at byte" in found.what
    sweep(camera.store, 30, NOW_MS)


def test_a_hole_behind_the_expired_bytes_is_damage() -> None:
    camera = camera_of()
    sweep(camera.store, 3, NOW_MS)
    del camera.store.stored[keys(camera)[1]]
    (found,) = verify(camera.store, None)
    assert "begins at byte" in found.what


class Dying(MemoryObjects):
    """S3 that goes away after some deletions."""

    n_left = 5

    def delete(self, key: str) -> None:
        if not self.n_left:
            raise StoreUnavailableError("away")
        self.n_left -= 1
        super().delete(key)


def test_a_deletion_that_breaks_off_is_no_damage_and_goes_on() -> None:
    camera = camera_of()
    camera.store.__class__ = Dying
    before = starts(camera)
    with pytest.raises(StoreUnavailableError):
        sweep(camera.store, 3, NOW_MS)
    assert 3 < len(starts(camera)) < len(before)
    assert list(verify(camera.store, None)) == []
    camera.store.__class__ = MemoryObjects
    sweep(camera.store, 3, NOW_MS)
    assert starts(camera) == before[-3:]


def test_the_kept_beginning_never_goes_back() -> None:
    camera = camera_of()
    task = camera.log.task
    camera.store.put(expired_key(PROJECT, task), msgspec.json.encode(Expired(10**6)))
    sweep(camera.store, 3, NOW_MS)
    assert first_kept(camera.store, PROJECT, task) == 10**6


def test_a_closed_log_without_its_beginning_has_its_chain_and_ends_the_mark() -> None:
    camera = camera_of()
    sweep(camera.store, 3, NOW_MS)
    restarted(camera)
    final = camera.close()
    assert final.length == camera.log.end
    assert (final.sha256, final.provider, final.status) == (None, "local", "cancelled")
    *_, (_, _, last) = camera.infos()
    assert final.chain == last.chain != ""
    assert list(verify(camera.store, None)) == []
    assert list(camera.store.keys(LIVE))
    sweep(camera.store, 3, NOW_MS + 100 * DAY_MS)
    assert not list(camera.store.keys(LIVE))
    assert len(starts(camera)) == 1
    assert camera.store.head(final_key(PROJECT, camera.log.task)) is not None


def test_a_file_task_is_never_shortened() -> None:
    camera = Camera(is_live=False)
    camera.play(range(60))
    before = starts(camera)
    assert sweep(camera.store, 1, NOW_MS + 1000 * DAY_MS) == 0
    assert starts(camera) == before


def test_one_damaged_mark_does_not_stop_the_others() -> None:
    camera = camera_of()
    camera.store.put(f"{LIVE}{PROJECT}/vt_another", b"{")
    assert sweep(camera.store, 3, NOW_MS) > 0


def test_the_thread_sweeps_and_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    swept, stop = threading.Event(), threading.Event()
    monkeypatch.setattr(retention, "FIRST_SWEEP_S", 0.0)
    monkeypatch.setattr(retention, "sweep", lambda *_: swept.set())
    thread = Retention(MemoryObjects(), 30, stop)
    thread.start()
    assert swept.wait(5)
    stop.set()
    thread.join()
    assert not thread._thread.is_alive()


@pytest.mark.parametrize("text", ["-1", "0.5", "x", "40000"])
def test_a_setting_that_is_no_number_of_days_is_refused(text: str) -> None:
    environ = {env.KAFKA: "127.0.0.1:1", env.S3_BUCKET: "b", env.LIVE_RETENTION_DAYS: text}
    with pytest.raises(SettingError, match=env.LIVE_RETENTION_DAYS):
        ArchiveSettings.from_environ(environ)


def test_the_last_picture_goes_by_its_age_and_the_task_is_done_without_it() -> None:
    camera = camera_of()
    task = camera.log.task
    picture, mark = latest_key(PROJECT, task), live_key(PROJECT, task)
    camera.store.stored[picture] = (b"jpeg", {})
    camera.store.stored[final_key(PROJECT, task)] = (b"{}", {})
    camera.store.stored_ms[picture] = NOW_MS
    sweep(camera.store, 3, NOW_MS + 2 * DAY_MS)
    assert {picture, mark} <= camera.store.stored.keys()
    sweep(camera.store, 3, NOW_MS + 3 * DAY_MS)  # only the last segment is left
    assert {picture, mark} <= camera.store.stored.keys()
    sweep(camera.store, 3, NOW_MS + 3 * DAY_MS + 1)
    assert not {picture, mark} & camera.store.stored.keys()


def recorded(camera: Camera, *ages_s: int) -> list[str]:
    """Store a piece of each age, the oldest first; return their keys."""
    pieces = [piece_key(PROJECT, camera.log.task, 100 * n, 7, "h264") for n in range(len(ages_s))]
    for key, age_s in zip(pieces, ages_s, strict=True):
        camera.store.stored[key] = (b"piece", {})
        camera.store.stored_ms[key] = NOW_MS - age_s * 1000
    return pieces


@pytest.mark.parametrize("days", [3, 0])
def test_pieces_of_a_recording_go_by_their_own_age(days: int) -> None:
    """Also where the log is kept for ever."""
    camera = camera_of(days, record_s=3600)
    pieces = recorded(camera, 7200, 3601, 3600, 10)
    before = len(starts(camera))
    sweep(camera.store, 30, NOW_MS)
    assert [key for key in pieces if key in camera.store.stored] == pieces[2:]
    assert len(starts(camera)) == (3 if days else before)
    sweep(camera.store, 30, NOW_MS + 3_600_000)
    assert not [key for key in pieces if key in camera.store.stored]


def test_pieces_of_an_ended_task_go_before_its_mark_does() -> None:
    camera = camera_of(1, record_s=86_400 * 20)
    task = camera.log.task
    (piece,), mark = recorded(camera, 0), live_key(PROJECT, task)
    camera.store.stored[final_key(PROJECT, task)] = (b"{}", {})
    sweep(camera.store, 30, NOW_MS + 19 * DAY_MS)
    assert len(starts(camera)) == 1
    assert {piece, mark} <= camera.store.stored.keys()
    sweep(camera.store, 30, NOW_MS + 21 * DAY_MS)
    assert not {piece, mark} & camera.store.stored.keys()


def test_the_mark_of_a_short_recorded_task_waits_for_its_last_piece() -> None:
    camera = camera_of(record_s=60)
    task = camera.log.task
    mark, last = live_key(PROJECT, task), keys(camera)[-1]
    camera.store.stored[final_key(PROJECT, task)] = (b"{}", {})
    camera.store.stored_ms[last] = NOW_MS + 100 * DAY_MS  # the log ended just now
    sweep(camera.store, 3, NOW_MS + 100 * DAY_MS)
    assert starts(camera) == [segment_start(last)]
    assert mark in camera.store.stored
    (piece,) = recorded(camera, 0)
    sweep(camera.store, 3, NOW_MS + 100 * DAY_MS + LATE_PIECE_MS)
    assert not {mark, piece} & camera.store.stored.keys()
