"""The state that the console keeps: whole, private, and no trap for another version."""

from pathlib import Path

import pytest

from console.config.state import MAX_BYTES, State, read_state, state_path, write_state
from console.config.values import View

STATE = State(
    theme="framewire-light",
    tab="tracks",
    columns={"tasks": ("status",)},
    splits={"task-splitter": 40.5},
    views={"gate": View(query="source:gate*", sort="-fps")},
)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "state.json"
    write_state(path, State())
    write_state(path, STATE)
    assert read_state(path) == STATE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["state.json"]


@pytest.mark.parametrize("data", [b"", b"[]", b'{"theme": 3}', b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_no_state(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(data)
    assert read_state(path) == State()


def test_fields_of_a_newer_version_and_too_large_a_file_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b'{"theme": "framewire-dark", "newer": {"a": 1}}')
    assert read_state(path) == State(theme="framewire-dark")
    path.write_bytes(b" " * (MAX_BYTES + 1))
    assert read_state(path) == State()
    assert read_state(tmp_path) == State()


def test_a_write_that_fails_leaves_the_old_state(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_state(path, STATE)
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]


def test_the_file_is_where_xdg_has_it() -> None:
    assert state_path({"XDG_STATE_HOME": "/x"}) == Path("/x/framewire/state.json")
