"""The local stack's logs in the user's pager: their ends, printable, the chosen role's first."""

import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from console.tui.log_copies import MAX_BYTES, copy_logs
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import make_console, until
from tests.console.tui.recorded_api import Script


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "api.log").write_bytes(b'{"event": "a"}\n\x1b]52;c;AAAA\x07 \xff\tb\n')
    (folder / "archive.log").write_bytes(b"")
    (folder / "worker-1.log").write_bytes(b"x" * 99 + b"\n" + b"line\n" * (MAX_BYTES // 5 + 9))
    (folder / "worker-1.log.1").write_bytes(b"older\n")
    return folder


def test_the_ends_of_logs_are_copied_without_control_characters(logs: Path, tmp_path: Path) -> None:
    into = tmp_path / "copies"
    into.mkdir()
    copies = copy_logs(logs, into, "worker-1")
    assert [copy.name for copy in copies] == ["worker-1.log", "api.log"]
    worker, api = (copy.read_text() for copy in copies)
    assert worker == "line\n" * (MAX_BYTES // 5)
    assert api == '{"event": "a"}\n\\x1b]52;c;AAAA\\x07 \ufffd\tb\n'
    assert next(copy.name for copy in copy_logs(logs, into, "none")) == "api.log"


def has_key(listing: Listing, key: str) -> bool:
    return listing.key == key


@pytest.mark.usefixtures("processes")
async def test_the_pager_gets_the_logs_of_the_stack_that_is_shown_and_of_no_other(
    url: str, script: Script, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    pager = f"{sys.executable} -c \"import sys; open({str(seen)!r}, 'w').write(str(sys.argv))\""
    settings: dict[str, Any] = {"environ": {"PAGER": pager}, "local_logs": logs}
    for local_url, reads in ((url, True), ("http://127.0.0.1:1", False)):
        console = make_console(url, local_url=local_url, **settings)
        monkeypatch.setattr(console, "suspend", nullcontext)  # a test has no terminal
        async with console.run_test(size=(100, 30)) as pilot:
            await pilot.press("4")
            workers = console.query_one("#workers", Listing)
            await until(pilot, partial(has_key, workers, "worker-1"))
            await pilot.press("P")
            titles = [note.title for note in console._notifications]
        if reads:
            words = seen.read_text()
            assert words.index("worker-1.log") < words.index("api.log")
            assert titles == []
            seen.unlink()
        else:
            assert titles == ["No logs"]
            assert not seen.exists()
