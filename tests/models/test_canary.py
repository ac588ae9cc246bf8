"""The canary finds a device that computes wrongly, and no right one is suspected."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.canary import BANDS, REPEAT_BAND, Canary, distance, pictures
from models.detector import Detector
from models.embedding import FeatureExtractor
from models.graph_io import NetworkInput
from models.importer import add_model
from models.manifest import Manifest
from models.ocr import TextReader
from models.registry import Registry
from models.runtime import Network, Outputs, Recipe, Runtime
from tests.models import faults
from tests.models.networks import own_model, write_bright_spots

FAULTS: dict[str, Callable[[], faults.Change]] = {
    "not_finite": lambda: faults.not_finite,
    "zero": lambda: faults.zero,
    "shifted": lambda: faults.shifted,
    "scaled": lambda: faults.scaled,
    "stuck": faults.stuck,
}


@pytest.fixture(scope="module")
def reference(networks: None, registry: Registry) -> Iterator[Runtime]:
    """The reference with its networks, which a canary alone would compile again each time."""
    runtime = Runtime("CPU", "f32")
    kept = loaded(runtime, registry)
    for network in runtime.networks():
        network.infer = remembered(network.infer)  # type: ignore[method-assign]
    yield runtime
    del kept


def remembered(infer: Callable[[Any], AbstractContextManager[Outputs]]) -> Callable[..., Any]:
    """Compute each picture's results once: each canary asks the reference for the same ones."""
    known: dict[bytes, list[np.ndarray]] = {}

    @contextmanager
    def again(batch: np.ndarray) -> Iterator[Outputs]:
        key = batch.tobytes()
        if key not in known:
            with infer(batch) as outputs:
                known[key] = [np.array(output) for output in outputs]
        yield known[key]

    return again


class SharingRuntime(Runtime):
    """Its networks are compiled once for all precisions that have the same ones."""

    compiled: ClassVar[dict[tuple[str, str, str, NetworkInput], Network]] = {}

    def _compile(self, recipe: Recipe, role: str) -> Network:
        key = (recipe.manifest.ref, role, recipe.precision, recipe.network_input)
        if key not in self.compiled:
            self.compiled[key] = super()._compile(recipe, role)
        return self.compiled[key]


@pytest.fixture(scope="module")
def sharing() -> Iterator[type[Runtime]]:
    yield SharingRuntime
    SharingRuntime.compiled.clear()


@pytest.fixture(scope="module")
def device(networks: None, registry: Registry) -> Callable[[str], tuple[Runtime, Manifest, Any]]:
    """Return a runtime with one model in it; each is loaded once."""

    @cache
    def with_model(ref: str) -> tuple[Runtime, Manifest, Any]:
        runtime, manifest = Runtime("CPU"), registry.resolve(ref)
        return runtime, manifest, load(runtime, manifest)

    return with_model


def load(runtime: Runtime, manifest: Manifest) -> Detector | TextReader | FeatureExtractor:
    if manifest.kind == "detect":
        return Detector(runtime, manifest)
    if manifest.kind == "ocr":
        return TextReader(runtime, manifest)
    return FeatureExtractor(runtime, manifest)


def loaded(runtime: Runtime, registry: Registry) -> list[object]:
    """All models that ship; they keep their networks."""
    return [load(runtime, manifest) for manifest in registry.list()]


@pytest.mark.parametrize("precision", Runtime("CPU").precisions())
def test_what_ships_is_within_half_of_the_band(
    precision: str,
    registry: Registry,
    reference: Runtime,
    sharing: type[Runtime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime = sharing("CPU", precision)  # type: ignore[arg-type]
    models = loaded(runtime, registry)
    for name, band in BANDS.items():
        monkeypatch.setitem(BANDS, name, band / 2)
    canary = Canary(runtime, lambda: reference)
    assert canary.has_unchecked()
    assert canary.check() == []
    assert not canary.has_unchecked()
    assert len(runtime.networks()) >= len(models)
    monkeypatch.setattr("models.canary.REPEAT_BAND", 0.0)
    assert canary.check() == [], "the processor repeats its results bit for bit"


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("ref", ["detect", "ocr", "feature"])
def test_a_faulty_device_is_found_at_the_start_and_later(
    device: Callable[[str], tuple[Runtime, Manifest, Any]], reference: Runtime, name: str, ref: str
) -> None:
    runtime, manifest, _ = device(ref)
    later, first = (Canary(runtime, lambda: reference) for _ in range(2))
    assert later.check() == []
    network = victim(runtime)
    faults.plant(network, FAULTS[name]())
    try:
        for canary in (first, later, first, later):  # it is not forgotten either
            (finding,) = canary.check()
            assert (finding.ref, finding.cause) == (manifest.ref, "device")
            assert network.name in str(finding)
            assert ("not finite" in str(finding)) == (name == "not_finite")
    finally:
        faults.repair(network)


def victim(runtime: Runtime) -> Network:
    """One network of the runtime, always the same."""
    return min(runtime.networks(), key=lambda network: network.name)


def test_a_users_network_that_is_wrong_from_the_start_is_to_blame_itself(
    tmp_path: Path, registry: Registry, reference: Runtime
) -> None:
    own = add_model(
        Registry(tmp_path / "own"),
        own_model(write_bright_spots(tmp_path / "spots.xml"), width=64, height=64),
    )
    runtime = Runtime("CPU")
    mine, ours = Detector(runtime, own), Detector(runtime, registry.resolve("detect"))
    canary = Canary(runtime, lambda: reference)
    networks = {network.recipe.manifest.ref: network for network in runtime.networks()}
    faults.plant(networks[own.ref], faults.scaled)
    (finding,) = canary.check()
    assert (finding.ref, finding.cause) == (own.ref, "precision")
    assert canary.check() == [], "it repeats its results"
    faults.plant(networks[own.ref], faults.zero)
    (finding,) = canary.check()
    assert (finding.ref, finding.cause) == (own.ref, "device"), "it was another one before"
    assert mine.manifest.ref != ours.manifest.ref


def test_a_users_network_that_is_not_finite_cannot_be_used(
    tmp_path: Path, reference: Runtime
) -> None:
    own = add_model(
        Registry(tmp_path / "own"),
        own_model(write_bright_spots(tmp_path / "spots.xml"), width=64, height=64),
    )
    runtime = Runtime("CPU")
    mine = Detector(runtime, own)
    faults.plant(victim(runtime), faults.not_finite)
    (finding,) = Canary(runtime, lambda: reference).check()
    assert (finding.ref, finding.cause) == (mine.manifest.ref, "network")


def test_only_new_networks_are_checked_if_asked(registry: Registry, reference: Runtime) -> None:
    runtime = Runtime("CPU")
    detector = Detector(runtime, registry.resolve("detect"))
    canary = Canary(runtime, lambda: reference)
    seen: list[None] = []
    assert canary.check(progress=lambda: seen.append(None)) == []
    n_networks = len(seen)
    assert n_networks == len(runtime.networks()) > 0
    assert canary.check(only_new=True, progress=lambda: seen.append(None)) == []
    assert len(seen) == n_networks
    detector._network((320, 320))
    assert canary.check(only_new=True, progress=lambda: seen.append(None)) == []
    assert len(seen) == n_networks + 1


def test_pictures_have_the_size_that_the_network_takes_and_differ(
    registry: Registry, reference: Runtime
) -> None:
    networks = reference.networks()
    assert len(networks) >= len(registry.list())
    for network in networks:
        one, other = pictures(network.recipe)
        assert one.shape == other.shape
        assert one.dtype == np.uint8
        assert one.shape[2] == 3
        assert (one != other).mean() > 0.01


FLOATS = st.lists(st.floats(0.125, 1, width=32), min_size=6, max_size=6).map(
    lambda row: np.array([row], np.float32)
)


@given(FLOATS, st.floats(-0.5, 0.5))
def test_the_distance_is_the_relative_error(scores: np.ndarray, error: float) -> None:
    found = (scores.astype(np.float64) * (1 + error)).astype(np.float32)
    assert distance([scores], [scores]) == 0
    assert distance([found], [scores]) == pytest.approx(abs(error), abs=1e-5)


@given(FLOATS, st.integers(0, 5))
def test_rows_count_by_their_score_and_sure_classes_alone(scores: np.ndarray, row: int) -> None:
    classes = np.arange(6, dtype=np.int32)[None]
    boxes = np.ones((1, 6, 4), np.float32)
    wrong_boxes, wrong_classes = boxes.copy(), classes.copy()
    wrong_boxes[0, row] = 0
    wrong_classes[0, row] += 1
    expected = [scores, classes, boxes]
    share = float(scores[0, row] / np.linalg.norm(scores.astype(np.float64)))
    assert distance([scores, classes, wrong_boxes], expected) == pytest.approx(share, rel=1e-4)
    sure = scores[0] >= 0.3
    share = 1 / sure.sum() if sure[row] else 0
    assert distance([scores, wrong_classes, boxes], expected) == pytest.approx(share)


def test_another_shape_and_values_that_are_not_finite_are_infinitely_far() -> None:
    one = np.ones((1, 4), np.float32)
    assert distance([one[:, :3]], [one]) == float("inf")
    assert distance([one * np.float32("nan")], [one]) == float("inf")
    assert distance([one * np.float32("inf")], [one]) == float("inf")
    assert min(BANDS.values()) > REPEAT_BAND
