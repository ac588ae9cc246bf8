"""Removal of a user's models, and what processes see that have them loaded."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.__main__ import main
from models.errors import InvalidModelFileError, RemovalRefusedError, UnknownModelError
from models.importer import add_model
from models.registry import Registry
from models.removal import removable_model, remove_model
from tests.models.networks import own_model, write_ir, yolox_output
from tests.models.text_networks import add_pictures, words, write_text_network, write_tokenizer


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry with a user's detector `mine@1`."""
    registry = Registry(tmp_path / "own")
    network = write_ir(tmp_path / "net.xml", [yolox_output({})])
    add_model(registry, own_model(network))
    return registry


def test_a_removed_model_is_gone_for_every_process(registry: Registry, tmp_path: Path) -> None:
    other = Registry(tmp_path / "own")  # as another process has it
    assert other.resolve("mine").ref == "mine@1"
    assert remove_model(registry, "mine").ref == "mine@1"
    for each in (registry, other, Registry(tmp_path / "own")):
        assert "mine@1" not in [manifest.ref for manifest in each.list()]
        with pytest.raises(UnknownModelError):
            each.resolve("mine@1")
    assert list((tmp_path / "own").iterdir()) == []


def test_a_removed_name_can_be_added_again(registry: Registry, tmp_path: Path) -> None:
    other = Registry(tmp_path / "own")
    before = other.resolve("mine@1").file("network.weights").sha256
    remove_model(registry, "mine@1")
    network = write_ir(tmp_path / "new.xml", [yolox_output({1: (0.9, 0.9, 0.0)})])
    add_model(registry, own_model(network))
    assert other.resolve("mine@1").file("network.weights").sha256 != before


def test_what_ships_is_not_removed(registry: Registry) -> None:
    for name in ("nanodet-g@1.0.0", "nanodet-g", "ppocr", "strip512@1.0.0"):
        with pytest.raises(RemovalRefusedError, match=r"ships with the product"):
            remove_model(registry, name)
    for name in ("detect", "nothing", "mine@2", "../own/mine@1", "mine@1/..", ""):
        with pytest.raises(UnknownModelError, match=r"available: mine@1"):
            remove_model(registry, name)
    assert registry.resolve("nanodet-g@1.0.0")


def test_of_several_versions_one_is_named(registry: Registry, tmp_path: Path) -> None:
    add_model(registry, own_model(tmp_path / "net.xml", version="2"))
    with pytest.raises(RemovalRefusedError, match=r"name one of mine@1, mine@2"):
        remove_model(registry, "mine")
    remove_model(registry, "mine@1")
    assert remove_model(registry, "mine").ref == "mine@2"


def test_a_users_version_of_a_shipped_name_is_the_users(registry: Registry, tmp_path: Path) -> None:
    add_model(registry, own_model(tmp_path / "net.xml", name="nanodet-g", version="9"))
    assert remove_model(registry, "nanodet-g").ref == "nanodet-g@9"
    assert registry.resolve("nanodet-g").version == "1.1.0"


def test_a_feature_model_goes_after_its_text_encoder(registry: Registry, tmp_path: Path) -> None:
    add_pictures(registry, tmp_path)
    network = write_text_network(tmp_path / "words.xml")
    add_model(registry, words(network, write_tokenizer(tmp_path / "tokenizer.json")))
    with pytest.raises(RemovalRefusedError, match=r"clip-words@1 is its text encoder"):
        remove_model(registry, "clip")
    remove_model(registry, "clip-words")
    assert remove_model(registry, "clip").ref == "clip@1"


@pytest.mark.parametrize(
    ("typed", "meant"), [("mien", "mine"), ("mine@2", "mine@1"), ("something", None)]
)
def test_a_name_like_a_users_is_suggested(
    registry: Registry, typed: str, meant: str | None
) -> None:
    with pytest.raises(UnknownModelError) as caught:
        removable_model(registry, typed)
    assert caught.value.available == ("mine@1",)
    suggestion = f"; did you mean {meant!r}?" if meant else ""
    assert str(caught.value) == f"unknown model {typed!r}; available: mine@1{suggestion}"


def test_asking_removes_nothing(registry: Registry) -> None:
    assert removable_model(registry, "mine").ref == "mine@1"
    assert registry.resolve("mine@1").directory.is_dir()


def test_a_directory_that_may_not_be_written_is_named(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path, target: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", denied)  # the tests may run as root, who may do anything
    with pytest.raises(InvalidModelFileError, match=r"cannot remove .*mine@1: Permission denied"):
        remove_model(registry, "mine")
    assert registry.resolve("mine@1").directory.is_dir()
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["mine@1"]


def test_a_loaded_model_goes_on_without_its_files(registry: Registry) -> None:
    from models.detector import Detector
    from models.parameters import validate_parameters
    from models.runtime import Runtime

    manifest = registry.resolve("mine")
    detector = Detector(Runtime("CPU"), manifest, "f32")
    remove_model(registry, "mine")
    found = detector.detect(np.zeros((64, 64, 3), np.uint8), validate_parameters(manifest, {}))
    assert len(found) == 0


def test_the_command_removes_it(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    directory = ["--dir", str(registry.user_dir)]
    assert main(["remove", "mine", "--check", "--json", *directory]) == 0
    assert json.loads(capsys.readouterr().out) == {"ref": "mine@1", "kind": "detect"}
    assert main(["remove", "mine", *directory]) == 0
    assert capsys.readouterr().out == "removed mine@1\n"
    assert main(["remove", "mine", *directory]) == 1
    assert "unknown model 'mine'" in capsys.readouterr().err
