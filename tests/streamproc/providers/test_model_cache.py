"""The models of a running worker, while a user adds, exchanges and removes them."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.detector import Detector
from models.errors import InvalidModelFileError, UnknownModelError
from models.importer import add_model, manifest_toml
from models.manifest import USER_MANIFEST
from models.parameters import validate_parameters
from models.registry import Registry
from models.removal import remove_model
from streamproc.providers.model_cache import LoadedModel, ModelCache
from tests.models.networks import own_model, write_ir, yolox_output


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """The registry of `framewire models`: another one than the worker's, in the same directory."""
    registry = Registry(tmp_path / "own")
    add(registry, tmp_path, 10)
    return registry


@pytest.fixture
def cache(registry: Registry, tmp_path: Path) -> ModelCache:
    return ModelCache(Registry(tmp_path / "own"))


def add(registry: Registry, tmp_path: Path, anchor: int, **changes: object) -> None:
    """Add a detector `mine@1` that finds one object, in this cell of its finest grid."""
    output = yolox_output({anchor: (1.0, 0.9, 0.0)})
    add_model(registry, own_model(write_ir(tmp_path / "net.xml", [output]), **changes))


def found_px(model: LoadedModel) -> list[float]:
    assert isinstance(model, Detector)
    parameters = validate_parameters(model.manifest, {})
    boxes = model.detect(np.zeros((64, 64, 3), np.uint8), parameters).boxes_px
    return [float(edge) for edge in boxes.ravel()]


def test_a_removed_model_is_used_by_the_worker_that_has_it(
    registry: Registry, cache: ModelCache, tmp_path: Path
) -> None:
    model = cache.load("mine@1", "CPU", "f32")
    remove_model(registry, "mine")
    assert cache.load("mine@1", "CPU", "f32") is model
    assert found_px(model) == [8, 0, 24, 16]
    other = ModelCache(Registry(tmp_path / "own"))
    with pytest.raises(UnknownModelError, match=r"unknown model 'mine@1'"):
        other.load("mine@1", "CPU", "f32")


def test_a_model_in_the_place_of_another_is_loaded_anew(
    registry: Registry, cache: ModelCache, tmp_path: Path
) -> None:
    before = cache.load("mine@1", "CPU", "f32")
    remove_model(registry, "mine")
    add(registry, tmp_path, 11)
    after = cache.load("mine@1", "CPU", "f32")
    assert (found_px(before), found_px(after)) == ([8, 0, 24, 16], [16, 0, 32, 16])
    remove_model(registry, "mine")
    add(registry, tmp_path, 11, threshold=0.7)  # the same network, described otherwise
    again = cache.load("mine@1", "CPU", "f32")
    assert again is not after
    assert again.manifest.thresholds.threshold == 0.7


def test_a_file_more_is_the_same_model(registry: Registry, cache: ModelCache) -> None:
    """An 8-bit network is added to a model: a task that began without it goes on without it."""
    model = cache.load("mine@1", "CPU", "f32")
    manifest = registry.resolve("mine")
    network = manifest.file("network")
    more = msgspec.structs.replace(network, role="network.i8")
    text = manifest_toml(msgspec.structs.replace(manifest, files=(*manifest.files, more)))
    (manifest.directory / USER_MANIFEST).write_text(text)
    assert cache.load("mine@1", "CPU", "f32") is model
    assert cache.registry.resolve("mine@1").has_file("network.i8")


def test_a_model_that_was_refused_may_come_in_the_place_of_itself(
    registry: Registry, cache: ModelCache, tmp_path: Path
) -> None:
    """A check refused the network: its owner removes it, and adds one that fits."""
    cache.load("mine@1", "CPU", "f32")
    cache._refused["mine@1", "CPU"] = "mine@1/network gives values that are not finite on CPU"
    with pytest.raises(InvalidModelFileError, match=r"not finite"):
        cache.load("mine@1", "CPU", "f32")
    remove_model(registry, "mine")
    with pytest.raises(InvalidModelFileError, match=r"not finite"):
        cache.load("mine@1", "CPU", "f32")
    add(registry, tmp_path, 11)
    assert found_px(cache.load("mine@1", "CPU", "f32")) == [16, 0, 32, 16]


def test_a_removed_models_network_is_no_fault_of_its_device(
    registry: Registry, cache: ModelCache
) -> None:
    """Its files are gone, so a first check has nothing to compare with; a later one has."""
    model = cache.load("mine@1", "CPU", "f32")
    assert cache.check() is None
    remove_model(registry, "mine")
    assert cache.check() is None
    assert cache.load("mine@1", "CPU", "f32") is model
