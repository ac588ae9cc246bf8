"""`framewire up` on an S3 of somebody else, from a missing bucket to maintenance afterwards."""

import os
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


def test_a_stack_makes_its_bucket_and_maintenance_uses_the_stores_that_it_had(
    foreign_s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data"
    endpoint = foreign_s3.endpoint.replace("127.0.0.1", "LocalHost")
    arguments = [f"--data={data}", "--kafka=memory", f"--s3-endpoint={endpoint}"]

    def console(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run([*arguments])
        return int(code), *capfd.readouterr()

    def maintain(*arguments: str) -> tuple[int, str]:
        return console(*arguments, "--data", str(data))[:2]

    with (
        running_stack(arguments, os.environ | told(foreign_s3), stderr=tmp_path / "up.log") as at,
        monkeypatch.context() as here,
    ):
        here.setenv(env.URL, at.url)
        here.setenv(env.KEY, at.key)
        assert console("run", str(CLIP), "--detect", "pedestrian", "--end", "2")[0] == 0
        deadline_s = time.monotonic() + 60
        here.setenv(env.ADMIN_KEY, DataDirectory(data).secrets().admin_key)
        count = ("sql", "select count() as n from v_tracks where task_id != ''", "--json")
        while '"rows":[[0]]' in (found := console(*count))[1]:
            assert time.monotonic() < deadline_s, "the task was not indexed"
            time.sleep(0.1)
        assert found[0] == 0, found
    for name in (*told(foreign_s3), env.S3_ENDPOINT, env.CLICKHOUSE):
        monkeypatch.delenv(name, raising=False)
    directory = DataDirectory(data)

    code, said = maintain("reindex", "--empty")
    assert (code, "1 tasks indexed, 0 damaged" in said) == (0, True), said
    assert f"bucket {foreign_s3.bucket} at {endpoint}" in said
    code, said = maintain("verify")
    assert (code, "0 findings" in said) == (0, True), "the index is not what it was"
    assert maintain("reindex", "--json") == (0, '{"tasks": 1, "damaged": {}}\n')

    kept = directory.stores()
    assert kept is not None
    directory.keep_stores(Stores(in_memory=True))  # an engine of its own, which nobody wrote to
    for command, is_json in ((("reindex", "--empty"), False), (("verify", "--json"), True)):
        code, said, complained = console(*command, "--data", str(data))
        assert code == 1
        refusal = complained if is_json else said
        assert "has no task, and the index has 1" in refusal
        assert "--yes" in refusal
        assert said == "" or not is_json
    directory.keep_stores(kept)
    assert maintain("verify", "--json") == (0, '{"findings": []}\n'), "rows were lost"


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
