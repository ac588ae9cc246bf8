"""What `make audit` makes of the databases' answers; the tools themselves are run by it alone."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.audit.__main__ import SERVICES, main

UNKNOWN = {"name": "mode", "version": "1.0", "skip_reason": "not found"}
SOUND = {"name": "mode", "version": "1.0", "vulns": []}
FAULTY = {"name": "mode", "version": "1.0", "vulns": [{"id": "CVE-2026-1"}]}


def tools(folder: Path, dependencies: list[Any] | None) -> Path:
    """Make commands that answer as the real ones do; None: the database is away."""
    bill = json.dumps({"bomFormat": "CycloneDX", "components": [{"name": "mode"}]})
    report = "" if dependencies is None else json.dumps({"dependencies": dependencies})
    for name, said in {"cyclonedx-py": bill, "pip-audit": report}.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        (None, 0, "not audited, the database could not be reached"),
        ([UNKNOWN, UNKNOWN], 0, "not audited, the database answers for none of 2 packages"),
        ([UNKNOWN, SOUND], 0, "1 of 2 packages audited\n  no fault is known"),
        ([UNKNOWN, FAULTY], 1, "1 of 2 packages audited\n  mode 1.0 CVE-2026-1"),
    ],
    ids=["away", "unknown", "sound", "faulty"],
)
def test_what_was_not_audited_is_not_called_sound(
    dependencies: list[Any] | None,
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "dist" / "bill.json"
    assert main(tools(tmp_path, dependencies), target) == code
    out = capsys.readouterr().out
    for service in SERVICES:
        assert f"{service}: {said}" in out
    components = json.loads(target.read_text())["components"]
    assert components[0] == {"name": "mode"}
    (broker,) = [c for c in components if c.get("bom-ref") == "maven:org.apache.kafka:kafka_2.13"]
    assert len(broker["hashes"][0]["content"]) == 64
