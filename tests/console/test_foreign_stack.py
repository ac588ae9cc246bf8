"""`framewire up` on an S3 of somebody else, from a missing bucket to maintenance afterwards."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.cli.main import run
from console.cli.paths import CLIP
from console.stack.data_directory import DataDirectory, Stores
from console.stack.running import running_stack
from streamproc.clients.conditional_writes import REFUSAL
from streamproc.contract import env
from tests.engines import S3Server
from tests.foreign_s3 import deaf, moto, served

pytestmark = pytest.mark.usefixtures("engines", "processes")


def told(server: S3Server) -> dict[str, str]:
    """Return what the operator has in his environment beside `--s3-endpoint`."""
    wanted = (env.S3_BUCKET, env.S3_KEY, env.S3_SECRET)
    return {name: server.environ[name] for name in wanted}


def console(environ: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "console", *arguments]
    done = subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_stack_makes_its_bucket_and_maintenance_uses_the_stores_that_it_had(
    foreign_s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data"
    endpoint = foreign_s3.endpoint.replace("127.0.0.1", "LocalHost")
    arguments = [f"--data={data}", "--kafka=memory", f"--s3-endpoint={endpoint}"]
    with running_stack(arguments, os.environ | told(foreign_s3), stderr=tmp_path / "up.log") as at:
        here = {env.URL: at.url, env.KEY: at.key}
        console(here, "run", str(CLIP), "--detect", "pedestrian", "--end", "2")
        deadline_s = time.monotonic() + 60
        admin = {env.ADMIN_KEY: DataDirectory(data).secrets().admin_key}
        count = ("sql", "select count() as n from v_tracks where task_id != ''", "--json")
        while '"rows":[[0]]' in console(here | admin, *count):
            assert time.monotonic() < deadline_s, "the task was not indexed"
    for name in (*told(foreign_s3), env.S3_ENDPOINT, env.CLICKHOUSE):
        monkeypatch.delenv(name, raising=False)
    directory = DataDirectory(data)

    def maintain(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        code = run([*arguments, "--data", str(data)])
        return code, capfd.readouterr().out

    code, said = maintain("reindex", "--empty")
    assert (code, "1 tasks indexed, 0 damaged" in said) == (0, True), said
    assert f"bucket {foreign_s3.bucket} at {endpoint}" in said
    code, said = maintain("verify")
    assert (code, "0 findings" in said) == (0, True), "the index is not what it was"
    assert maintain("verify", "--json") == (0, '{"findings": []}\n')
    assert maintain("reindex", "--json") == (0, '{"tasks": 1, "damaged": {}}\n')

    kept = directory.stores()
    assert kept is not None
    directory.keep_stores(Stores(in_memory=True))  # an engine of its own, which nobody wrote to
    for command in (("reindex", "--empty"), ("verify",)):
        code, said = maintain(*command)
        assert code == 1
        assert "has no task, and the index has 1" in said
        assert "--yes" in said
        assert maintain(*command, "--json") == (1, "")
    directory.keep_stores(kept)
    assert maintain("verify")[0] == 0, "rows were lost"


def test_a_store_that_ignores_conditions_ends_the_start_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with served(deaf(moto())) as server:
        for name, value in told(server).items():
            monkeypatch.setenv(name, value)
        options = ("--kafka", "memory", "--s3-endpoint", server.endpoint)
        assert run(["up", "--data", str(tmp_path / "data"), *options]) == 1
    assert REFUSAL in capfd.readouterr().err.splitlines()[-1]


def test_a_directory_on_which_no_stack_was_up_has_no_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in (env.S3_ENDPOINT, env.CLICKHOUSE):
        monkeypatch.delenv(name, raising=False)
    assert run(["reindex", "--empty", "--data", str(tmp_path / "data")]) == 1
    assert "no stack has been up" in capfd.readouterr().err
    assert not (tmp_path / "data" / "seaweedfs").exists()
