"""`framewire system`: every role with its CPU and memory."""

import json

import pytest

from console.cli.main import run
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_lag_curves import consumer


def test_archive_index_and_api_have_rows(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    system = script.answers["system"]
    waits = consumer("index", 12, waiting_for="clickhouse", cpu_percent=None, rss_bytes=None)
    system["consumers"] = [consumer("archive", 11), waits]
    system["api"] = {"host": "vm", "pid": 13, "started_at": "2026-11-22T11:00:00.000Z"}
    system["api"] |= {"cpu_percent": 3.2, "rss_bytes": 2**30}
    assert run(["system"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["archive", "vm", "11", "yes", "3", "12", "50", "-"] in rows
    assert ["index", "vm", "12", "yes", "3", "-", "-", "clickhouse"] in rows
    assert ["api", "vm", "13", "yes", "-", "3", "1024", "-"] in rows


def test_slots_for_files_and_for_live_sources_are_told(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    (worker,) = script.answers["system"]["workers"]
    older = worker | {"id": "worker-2"}  # of a version without live tasks
    worker |= {"live_busy": 3, "live_slots": 8}
    script.answers["system"]["workers"] = [worker, older]
    assert run(["system"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (header,) = [line for line in lines if line[:1] == ["WORKER"]]
    found = {line[0]: dict(zip(header, line, strict=False)) for line in lines if line}
    assert (found["worker-1"]["BUSY"], found["worker-1"]["LIVE"]) == ("2/4", "3/8")
    assert (found["worker-2"]["BUSY"], found["worker-2"]["LIVE"]) == ("2/4", "-")
    assert run(["system", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["workers"]
    assert [(one["live_busy"], one["live_slots"]) for one in told] == [(3, 8), (0, 0)]
