"""The reserve of the disk: below it nothing new is begun, and the answer says why."""

from pathlib import Path

import pytest

from api.disk import LOOK_S, DiskReserve, DiskReservedError

MIB = 1 << 20


class Disk:
    def __init__(self, free: int) -> None:
        self.free, self.now_s, self.n_looks = free, 0.0, 0

    def look(self, _: Path) -> int:
        self.n_looks += 1
        return self.free

    def reserve(self, size_bytes: int) -> DiskReserve:
        return DiskReserve(Path("/"), size_bytes, self.look, lambda: self.now_s)


def test_tasks_are_refused_below_the_reserve_and_accepted_again_above_it() -> None:
    disk = Disk(free=200 * MIB)
    reserve = disk.reserve(100 * MIB)
    reserve.admit()
    disk.free = 99 * MIB
    disk.now_s += LOOK_S
    with pytest.raises(DiskReservedError) as caught:
        reserve.admit()
    assert caught.value.status == 507
    assert "99 MiB left" in caught.value.detail
    assert caught.value.body()["reserve_bytes"] == 100 * MIB
    disk.free = 100 * MIB
    disk.now_s += LOOK_S
    reserve.admit()


def test_the_disk_is_looked_at_once_a_second_at_most() -> None:
    disk = Disk(free=200 * MIB)
    reserve = disk.reserve(100 * MIB)
    for _ in range(1000):
        reserve.admit()
    assert disk.n_looks == 1


def test_without_a_disk_of_ones_own_nothing_is_refused() -> None:
    DiskReserve(None, 1 << 60).admit()
    DiskReserve(Path("/"), 0).admit()


def test_a_real_disk_is_asked_how_much_is_free(tmp_path: Path) -> None:
    DiskReserve(tmp_path, 1).admit()
    with pytest.raises(DiskReservedError):
        DiskReserve(tmp_path, 1 << 62).admit()


def test_a_disk_that_cannot_be_asked_keeps_nobody_out(tmp_path: Path) -> None:
    DiskReserve(tmp_path / "not there", 1 << 62).admit()
