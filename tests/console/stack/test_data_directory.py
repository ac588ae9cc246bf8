import json
import os
import stat
from pathlib import Path

import pytest

from console.errors import DirectoryInUseError
from console.stack.data_directory import (
    DataDirectory,
    S3Access,
    Secrets,
    StackState,
    Stores,
    default_data_dir,
)
from streamproc.contract.sealing import Sealer
from streamproc.contract.store_settings import StoreSettings


def state(pid: int | None = None) -> StackState:
    return StackState(
        pid=os.getpid() if pid is None else pid,
        url="http://127.0.0.1:1",
        key="fw_key",
        project="default",
        admin_key="fwadmin_secret",
        kafka="127.0.0.1:2",
        s3=S3Access("http://127.0.0.1:3", "framewire", "access", "very-secret"),
        clickhouse="chdb:///x",
        file_roots=[],
        children={"api": 7},
    )


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    return directory


def test_keys_are_made_once_and_only_their_owner_reads_them(directory: DataDirectory) -> None:
    first = directory.secrets()
    again = DataDirectory(directory.root).secrets()
    assert again.admin_key == first.admin_key
    assert again.s3_secret_key == first.s3_secret_key
    assert stat.S_IMODE((directory.root / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.root.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711, 0o707])
def test_a_directory_that_others_could_enter_is_closed_to_them(tmp_path: Path, mode: int) -> None:
    directory = DataDirectory(tmp_path / "data")
    assert not directory.prepare()
    directory.root.chmod(mode)
    assert directory.prepare()
    assert stat.S_IMODE(directory.root.stat().st_mode) == 0o700
    assert not directory.prepare()


def test_keys_of_an_older_version_get_the_secret_that_they_lack(directory: DataDirectory) -> None:
    first = directory.secrets()
    path = directory.root / "secrets.json"
    old = json.loads(path.read_text())
    del old["secret_key"]
    path.write_text(json.dumps(old))
    made = directory.secrets()
    assert made.admin_key == first.admin_key
    assert made.secret_key not in {None, first.secret_key}
    assert directory.secrets().secret_key == made.secret_key
    Sealer(made.secret_key or "")


def test_no_secret_shows_in_a_repr() -> None:
    secrets = Secrets.fresh()
    text = repr(secrets) + repr(state()) + repr(state().s3)
    hidden = [
        secrets.admin_key,
        secrets.secret_key,
        secrets.s3_secret_key,
        "fwadmin_secret",
        "very-secret",
        "fw_key",
    ]
    assert None not in hidden
    assert not [word for word in hidden if word is not None and word in text]


def test_a_directory_has_one_stack(directory: DataDirectory) -> None:
    held = directory.lock()
    with pytest.raises(DirectoryInUseError):
        DataDirectory(directory.root).lock()
    os.close(held)
    os.close(DataDirectory(directory.root).lock())


def test_a_running_stack_is_found_until_it_stops(directory: DataDirectory) -> None:
    assert directory.running() is None
    directory.keep_running(state())
    assert directory.running() == state()
    directory.forget_running()
    assert directory.running() is None


def test_the_state_of_a_dead_stack_is_not_believed(directory: DataDirectory) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    directory.keep_running(state(pid=pid))
    assert directory.running() is None


def test_a_torn_file_is_as_good_as_none(directory: DataDirectory) -> None:
    (directory.root / "stack.json").write_text('{"pid": 1')
    (directory.root / "ports.json").write_text("[]")
    assert directory.running() is None
    assert directory.ports() == {}


def test_the_data_directory_follows_the_environment(tmp_path: Path) -> None:
    assert default_data_dir({"FRAMEWIRE_DATA": str(tmp_path)}) == tmp_path
    assert default_data_dir({"XDG_DATA_HOME": "/x"}).as_posix() == "/x/framewire"
    assert default_data_dir({}).parts[-3:] == (".local", "share", "framewire")


def test_a_directory_keeps_the_stores_of_its_stack_for_its_user_alone(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    assert directory.stores() is None, "no stack was up here"
    (directory.root / "seaweedfs").mkdir()
    assert directory.stores() == Stores(), "a version before kept none: its own engine was used"
    foreign = StoreSettings("http://s3:9", "videos", "key", "of-the-key", addressing="virtual")
    stores = Stores(foreign, "http://framewire:of-the-tables@ch:8123/framewire")
    directory.keep_stores(stores)
    assert directory.stores() == stores
    assert stat.S_IMODE((directory.root / "stores.json").stat().st_mode) == 0o600
    assert "of-the" not in repr(stores)
