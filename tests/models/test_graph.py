"""What is changed in a network before it is compiled changes no bit of what it gives."""

from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from models.graph import NetworkInput, attach_head, attach_input, simplify
from models.manifest import Manifest
from models.registry import Registry
from models.types import Image

CORE = ov.Core()
HAS_BF16 = "BF16" in CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def network(manifest: Manifest, role: str = "network") -> ov.Model:
    weights = manifest.read_file(f"{role}.weights")
    return CORE.read_model(model=manifest.read_file(role), weights=weights)


def outputs(model: ov.Model, batch: Any, precision: ov.Type) -> list[Any]:
    compiled = CORE.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return [value.copy() for value in compiled(batch).values()]


def kinds(model: ov.Model) -> list[str]:
    return [node.get_type_name() for node in model.get_ordered_ops()]


@pytest.mark.parametrize(
    "precision",
    [
        ov.Type.f32,
        pytest.param(ov.Type.bf16, marks=pytest.mark.skipif(not HAS_BF16, reason="no bf16 here")),
    ],
)
def test_the_head_gives_the_best_of_the_networks_own_outputs(
    registry: Registry, street_frames: list[Image], precision: ov.Type
) -> None:
    manifest = registry.resolve("detect")
    size = manifest.input
    assert size is not None
    taken = NetworkInput.of(size, batch=1)
    batch = np.ascontiguousarray(street_frames[0][None, : size.height, : size.width])

    plain = outputs(attach_input(network(manifest), taken), batch, precision)
    by_anchors = sorted(plain, key=lambda part: (-part.shape[1], part.shape[2]))
    regression = np.concatenate(by_anchors[0::2], axis=1)
    scores = np.concatenate(by_anchors[1::2], axis=1)
    assert scores.shape[2] == len(manifest.classes)

    model = attach_head(attach_input(network(manifest), taken), manifest, "as_is")
    simplify(model)
    best, index, distances = outputs(model, batch, precision)
    assert np.array_equal(best, scores.max(axis=2))
    # In bf16 two classes may score the same; either is the best.
    assert np.array_equal(np.take_along_axis(scores, index[..., None], 2)[..., 0], best)
    assert np.array_equal(distances, regression)


def test_the_head_moves_its_transposition_before_the_split(registry: Registry) -> None:
    manifest = registry.resolve("detect")
    model = attach_head(network(manifest), manifest, "as_is")
    assert kinds(network(manifest)).count("Sigmoid") == 3
    assert kinds(model).count("Sigmoid") == 1
    assert kinds(model).count("VariadicSplit") == 3
    for split in model.get_ordered_ops():
        if split.get_type_name() == "VariadicSplit":
            assert split.input_value(0).get_node().get_type_name() == "Transpose"


def pooled(
    value: float = -np.inf,
    before: tuple[int, ...] = (0, 0, 1, 1),
    after: tuple[int, ...] = (0, 0, 1, 2),
    rounding: str = "floor",
    pads: tuple[int, int] = (0, 0),
    mode: str = "constant",
) -> ov.Model:
    image = ops.parameter([1, 3, 9, 8], np.float32, name="image")
    padded = ops.pad(image, np.array(before), np.array(after), mode, np.float32(value))
    pool = ops.max_pool(padded, [2, 2], [1, 1], list(pads), list(pads), [3, 3], rounding)
    return ov.Model([pool.output(0)], [image], "pooled")


def test_a_pad_before_a_pooling_becomes_the_poolings_own() -> None:
    batch = np.random.default_rng(0).normal(-5, 1, (1, 3, 9, 8)).astype(np.float32)
    model = pooled()
    simplify(model)
    assert "Pad" not in kinds(model)
    (simple,), (plain,) = (outputs(m, batch, ov.Type.f32) for m in (model, pooled()))
    assert np.array_equal(simple, plain)


@pytest.mark.parametrize(
    "change",
    [
        {"value": 0.0},
        {"mode": "edge"},
        {"rounding": "ceil"},
        {"pads": (1, 1)},
        {"before": (0, 1, 1, 1)},
        {"after": (0, 0, -1, 1)},
    ],
    ids=str,
)
def test_a_pad_that_means_something_else_stays(change: dict[str, Any]) -> None:
    model = pooled(**change)
    simplify(model)
    assert "Pad" in kinds(model)


def test_the_vendored_detector_has_such_a_pad(registry: Registry) -> None:
    model = network(registry.resolve("detect"))
    before = kinds(model).count("Pad")
    simplify(model)
    assert kinds(model).count("Pad") == before - 1
