"""What is changed in a network before it is compiled changes no bit of what it gives."""

from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from models.graph_io import NetworkInput, attach_head, attach_input
from models.graph_passes import channels_last, simplify
from models.manifest import Manifest
from models.registry import Registry
from models.types import Image

CORE = ov.Core()
HAS_BF16 = "BF16" in CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture
def shipped(networks: None, registry: Registry) -> Manifest:
    """The detector that ships."""
    return registry.resolve("detect")


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
@pytest.mark.parametrize("size", [(416, 416), (416, 256), (320, 416)])
def test_the_head_gives_the_best_of_the_networks_own_outputs(
    shipped: Manifest, street_frames: list[Image], precision: ov.Type, size: tuple[int, int]
) -> None:
    assert shipped.input is not None
    taken = NetworkInput.of(shipped.input, batch=1, size=size)
    batch = np.ascontiguousarray(street_frames[0][None, : size[1], : size[0]])

    plain = outputs(attach_input(network(shipped), taken), batch, precision)
    by_anchors = sorted(plain, key=lambda part: (-part.shape[1], part.shape[2]))
    regression = np.concatenate(by_anchors[0::2], axis=1)
    scores = np.concatenate(by_anchors[1::2], axis=1)
    assert scores.shape[2] == len(shipped.classes)

    model = attach_head(attach_input(network(shipped), taken), shipped, "as_is", taken)
    simplify(model)
    best, index, distances = outputs(model, batch, precision)
    assert np.array_equal(best, scores.max(axis=2))
    # In bf16 two classes may score the same; either is the best.
    assert np.array_equal(np.take_along_axis(scores, index[..., None], 2)[..., 0], best)
    assert np.array_equal(distances, regression)


def test_each_output_of_the_head_has_its_own_convolution(shipped: Manifest) -> None:
    assert shipped.input is not None
    taken = NetworkInput.of(shipped.input, batch=1)
    before, after = network(shipped), attach_head(network(shipped), shipped, "as_is", taken)
    assert kinds(before).count("Sigmoid") == kinds(before).count("VariadicSplit") == 3
    assert kinds(after).count("Sigmoid") == 1
    assert "VariadicSplit" not in kinds(after)
    assert kinds(after).count("Convolution") == kinds(before).count("Convolution") + 3


CHANNELS = (3, 5)


def head(bias: tuple[int, ...] = (1, 8, 1, 1), *, convolved: bool = True) -> ov.Model:
    """Two outputs (1, 12, c) that are split off one convolution's channels, or off an input."""
    rng = np.random.default_rng(1)
    image = ops.parameter([1, 2 if convolved else 8, 3, 4], np.float32, name="image")
    planes = image
    if convolved:
        weights = rng.normal(size=(8, 2, 3, 3)).astype(np.float32)
        planes = ops.convolution(image, ops.constant(weights), [1, 1], [1, 1], [1, 1], [1, 1])
    planes = ops.add(planes, ops.constant(rng.normal(size=bias).astype(np.float32)))
    parts = ops.variadic_split(planes, np.int64(1), np.array(CHANNELS)).outputs()
    flat = [
        ops.transpose(ops.reshape(part, np.array([1, n, 12]), False), np.array([0, 2, 1]))
        for part, n in zip(parts, CHANNELS, strict=True)
    ]
    return ov.Model([part.output(0) for part in flat], [image], "head")


@pytest.mark.parametrize(
    ("bias", "convolved", "n_convolutions"),
    [((1, 8, 1, 1), True, 2), ((1, 1, 1, 1), True, 1), ((1, 8, 1, 1), False, 0)],
)
def test_channels_come_last_with_the_same_values(
    bias: tuple[int, ...], convolved: bool, n_convolutions: int
) -> None:
    plain = head(bias, convolved=convolved)
    results = [channels_last(out.get_node().input_value(0)) for out in plain.outputs]
    last = ov.Model(results, plain.get_parameters(), "last")
    assert kinds(last).count("Convolution") == n_convolutions
    batch = np.random.default_rng(2).normal(size=list(plain.input().shape)).astype(np.float32)
    expected = outputs(head(bias, convolved=convolved), batch, ov.Type.f32)
    for ours, theirs in zip(outputs(last, batch, ov.Type.f32), expected, strict=True):
        assert np.array_equal(ours, theirs)


MEAN, SCALE = (1.0, 20.0, 300.0), (2.0, 4.0, 8.0)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("channels", ["BGR", "RGB"])
@pytest.mark.parametrize("size", [(6, 4), (-1, -1), (6, -1)], ids=str)
@pytest.mark.parametrize("batch", [2, -1])
def test_pictures_are_normalised_by_the_networks_channels(
    layout: str, channels: str, size: tuple[int, int], batch: int
) -> None:
    shape = [batch, 3, *size] if layout == "NCHW" else [batch, *size, 3]
    taken = ops.parameter(ov.PartialShape(shape), np.float32, name="taken")
    seen = ov.Model([ops.multiply(taken, np.float32(1)).output(0)], [taken], "seen")
    model = attach_input(seen, NetworkInput(batch, *size, layout, channels, MEAN, SCALE))
    picture = np.random.default_rng(3).integers(0, 256, (2, 6, 4, 3), np.uint8)
    (given,) = outputs(model, picture, ov.Type.f32)
    ordered = picture if channels == "BGR" else picture[..., ::-1]
    expected: Any = (ordered.astype(np.float32) - np.array(MEAN, np.float32)) / np.array(
        SCALE, np.float32
    )
    if layout == "NCHW":
        expected = expected.transpose(0, 3, 1, 2)
    assert np.array_equal(given, expected)


@pytest.mark.parametrize("kind", [ov.Type.f16, ov.Type.u8], ids=str)
def test_a_network_may_take_other_numbers_than_f32(kind: ov.Type) -> None:
    taken = ops.parameter([1, 3, 6, 4], kind, name="taken")
    doubled = ops.multiply(taken, ops.constant(2, kind))
    seen = ov.Model([ops.convert(doubled, "f32").output(0)], [taken], "seen")
    model = attach_input(seen, NetworkInput(1, 6, 4, mean=(2, 2, 2), scale=(2, 2, 2)))
    picture = np.full((1, 6, 4, 3), 8, np.uint8)
    (given,) = outputs(model, picture, ov.Type.f32)
    assert np.array_equal(given, np.full((1, 3, 6, 4), 6, np.float32))


def test_the_detectors_input_is_not_moved_about(shipped: Manifest) -> None:
    """Its transposition costs nothing, and Python hands pictures in as they are."""
    assert shipped.input is not None
    taken = NetworkInput.of(shipped.input, batch=1)
    compiled = CORE.compile_model(attach_input(network(shipped), taken), "CPU")
    nodes = compiled.get_runtime_model().get_ordered_ops()
    node = next(node for node in nodes if layer(node) == "Convolution")
    way = []
    while node.get_input_size():
        node = node.input_value(0).get_node()
        # OpenVINO calls a change of names alone fake.
        way.append("fake" if node.get_friendly_name().endswith("_fake") else layer(node))
    assert way[-1] == "Input"
    assert not {"Transpose", "Reorder"} & set(way), way


def layer(node: Any) -> str:
    """The kind of a compiled network's node."""
    return str(node.get_rt_info()["layerType"].astype(str))


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


def test_the_vendored_detector_has_such_a_pad(shipped: Manifest) -> None:
    model = network(shipped)
    before = kinds(model).count("Pad")
    simplify(model)
    assert kinds(model).count("Pad") == before - 1
