import json
import os
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from models.__main__ import main
from models.detector import Detector
from models.errors import InvalidManifestError, InvalidModelFileError
from models.importer import UserModel, add_model
from models.manifest import Manifest
from models.parameters import validate_parameters
from models.registry import Registry
from models.runtime import Runtime
from models.sizes import SourceShape
from models.types import Detections, Image
from tests.models.networks import (
    SIZE,
    nanodet_output,
    own_model,
    write_bright_spots,
    write_ir,
    write_onnx,
    yolox_output,
)
from tests.plugins.missing import needs_variable


def import_model(tmp_path: Path, own: UserModel) -> Manifest:
    return add_model(Registry(tmp_path / "own"), own)


def detect(runtime: Runtime, manifest: Manifest, **parameters: object) -> Detections:
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    found = Detector(runtime, manifest, "f32")
    return found.detect(frame, validate_parameters(manifest, parameters))


def test_yolox_onnx_is_taken_in_and_detects(tmp_path: Path, runtime: Runtime) -> None:
    output = yolox_output({10: (0.9, 0.1, 0.8), 64: (0.9, 0.9, 0.0)})
    manifest = import_model(tmp_path, own_model(write_onnx(tmp_path / "net.onnx", output)))

    assert manifest.ref == "mine@1"
    assert manifest.classes == ("pedestrian", "forklift")
    assert manifest.input is not None
    assert (manifest.input.width, manifest.input.resize) == (SIZE, "letterbox")
    found = detect(runtime, manifest)
    # Anchor 10 is column 2, row 1 of the grid of stride 8; boxes are two strides wide.
    np.testing.assert_allclose(found.boxes_px, [[0, 0, 16, 16], [8, 0, 24, 16]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.81, 0.72], atol=1e-6)
    assert found.class_ids.tolist() == [0, 1]


def test_yolox_letterbox_maps_boxes_back_to_a_wide_frame(tmp_path: Path, runtime: Runtime) -> None:
    output = yolox_output({10: (1.0, 0.9, 0.0)})
    manifest = import_model(tmp_path, own_model(write_ir(tmp_path / "net.xml", [output])))
    detector = Detector(runtime, manifest, "f32")
    parameters = validate_parameters(manifest, {})

    whole = detector.detect(np.zeros((120, 256, 3), np.uint8), parameters)
    shape = SourceShape(256, 120)
    assert detector.fit.scaled_size(shape) == (64, 30)
    scaled = detector.detect(np.zeros((30, 64, 3), np.uint8), parameters, shape)

    np.testing.assert_allclose(whole.boxes_px, [[32, 0, 96, 64]], atol=1e-3)
    np.testing.assert_array_equal(whole.boxes_px, scaled.boxes_px)


def test_nanodet_with_one_output_detects(tmp_path: Path, runtime: Runtime) -> None:
    output = nanodet_output({10: (0.2, 0.7), 64: (0.6, 0.1)})
    own = own_model(write_ir(tmp_path / "net.xml", [output]), decoder="nanodet", centre=0.0)
    found = detect(runtime, import_model(tmp_path, own))
    np.testing.assert_allclose(found.boxes_px, [[8, 0, 24, 16], [0, 0, 16, 16]], atol=1e-4)
    assert found.class_ids.tolist() == [1, 0]


def test_nanodet_with_outputs_per_stride_detects_the_same(tmp_path: Path, runtime: Runtime) -> None:
    whole = nanodet_output({10: (0.2, 0.7), 64: (0.6, 0.1)})
    ends = [64, 80]
    parts = [*np.split(whole[..., 2:], ends, axis=1), *np.split(whole[..., :2], ends, axis=1)]
    one = own_model(write_ir(tmp_path / "one.xml", [whole]), decoder="nanodet", name="one")
    many = own_model(write_ir(tmp_path / "many.xml", parts), decoder="nanodet", name="many")
    registry = Registry(tmp_path / "own")
    a, b = (detect(runtime, add_model(registry, own)) for own in (one, many))
    np.testing.assert_array_equal(a.boxes_px, b.boxes_px)
    np.testing.assert_array_equal(a.scores, b.scores)
    assert len(a) == 2


def test_ssd_rows_end_at_the_first_negative_image(tmp_path: Path, runtime: Runtime) -> None:
    rows = np.zeros((1, 1, 5, 7), np.float32)
    rows[0, 0, 0] = [0, 2, 0.9, 0.25, 0.5, 0.75, 1.25]
    rows[0, 0, 1] = [0, 0, 0.9, 0, 0, 1, 1]  # background
    rows[0, 0, 2] = [0, 1, 0.5, 0, 0, 0.5, 0.5]
    rows[0, 0, 3] = [-1, 1, 0.99, 0, 0, 1, 1]
    own = own_model(write_ir(tmp_path / "net.xml", [rows]), decoder="ssd")
    found = detect(runtime, import_model(tmp_path, own))
    np.testing.assert_allclose(found.boxes_px, [[16, 32, 48, 64], [0, 0, 32, 32]])
    assert found.class_ids.tolist() == [1, 0]


def test_a_network_of_any_size_needs_a_stated_one(tmp_path: Path, runtime: Runtime) -> None:
    rows = np.zeros((1, 1, 5, 7), np.float32)
    network = write_ir(tmp_path / "net.xml", [rows], shape=(1, -1, -1, 3))
    with pytest.raises(InvalidModelFileError, match="state width and height"):
        import_model(tmp_path, own_model(network, decoder="ssd"))
    manifest = import_model(tmp_path, own_model(network, decoder="ssd", width=100, height=50))
    assert manifest.input is not None
    assert (manifest.input.layout, manifest.input.width) == ("NHWC", 100)
    assert len(detect(runtime, manifest)) == 0


@pytest.mark.parametrize(
    ("size", "network"), [((128, 64), (64, 32)), ((64, 128), (32, 64)), ((96, 96), (64, 64))]
)
def test_a_network_of_any_size_gets_the_shape_of_the_source(
    tmp_path: Path, runtime: Runtime, size: tuple[int, int], network: tuple[int, int]
) -> None:
    manifest = import_model(tmp_path, own_model(write_bright_spots(tmp_path / "n.xml"), width=64))
    assert manifest.input is not None
    assert manifest.input.shape == "source"
    detector = Detector(runtime, manifest, "f32")
    assert detector.fit.network_size(SourceShape(*size)) == network
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    cell = 8 * max(size) // 64
    left, top = 3 * cell, 2 * cell
    frame[top : top + cell, left : left + cell] = 255
    found = detector.detect(frame, validate_parameters(manifest, {}))
    np.testing.assert_allclose(found.boxes_px[:1], [[left, top, left + cell, top + cell]])
    assert found.scores[0] == pytest.approx(1.0)


def test_a_network_whose_head_has_one_size_keeps_it(tmp_path: Path) -> None:
    network = write_ir(tmp_path / "net.xml", [yolox_output({})], shape=(1, 3, -1, -1))
    manifest = import_model(tmp_path, own_model(network, width=SIZE))
    assert manifest.input is not None
    assert (manifest.input.shape, manifest.input.height) == ("fixed", SIZE)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"decoder": "nanodet"}, InvalidModelFileError, "decoder nanodet needs"),
        ({"decoder": "ssd"}, InvalidModelFileError, r"needs one output \[1,1,n,7\]"),
        ({"strides": (8, 16)}, InvalidModelFileError, r"one output \[1,80,7\]"),
        ({"width": 128}, InvalidModelFileError, "does not fit"),
        ({"name": "../escape"}, InvalidManifestError, "name"),
        ({"threshold": 1.5}, InvalidManifestError, "threshold"),
        ({"low_threshold": 0.9}, InvalidManifestError, "low_threshold"),
        ({"scale": (1.0, 0.0, 1.0)}, InvalidManifestError, "scale"),
        ({"network": Path("gone.onnx")}, InvalidModelFileError, "cannot read gone.onnx"),
        ({"network": Path("weights.pt")}, InvalidModelFileError, "neither"),
        ({"classes": Path("gone.txt")}, InvalidModelFileError, "class names"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    network = write_ir(tmp_path / "net.xml", [yolox_output({})])
    registry = Registry(tmp_path / "own")
    with pytest.raises(error, match=message):
        add_model(registry, own_model(network, **changes))
    assert len(registry.list()) == len(Registry().list())
    assert not list((tmp_path / "own").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net.bin",
        "net.txt",
        "net.xml",
        "own",
    ]


def test_files_that_are_no_network_are_refused(tmp_path: Path) -> None:
    for name, content in [("a.onnx", b"not a network"), ("b.onnx", b"")]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidModelFileError):
            import_model(tmp_path, own_model(tmp_path / name))


@pytest.mark.parametrize("names", ["", "one\none\n", "person\npedestrian\n", "a\nb\nc\n"])
def test_class_names_must_fit(tmp_path: Path, names: str) -> None:
    network = write_ir(tmp_path / "net.xml", [yolox_output({})])
    (tmp_path / "net.txt").write_text(names, encoding="utf-8")
    with pytest.raises((InvalidManifestError, InvalidModelFileError)):
        import_model(tmp_path, own_model(network))


def test_scores_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    network = write_ir(tmp_path / "net.xml", [yolox_output({3: (4.0, 2.0, 0.0)})])
    with pytest.raises(InvalidModelFileError, match="must be probabilities"):
        import_model(tmp_path, own_model(network))


def test_boxes_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    output = yolox_output({})
    output[0, 5, 2] = 1000
    with pytest.raises(InvalidModelFileError, match="finite"):
        import_model(tmp_path, own_model(write_ir(tmp_path / "net.xml", [output])))


def test_a_label_without_a_class_is_refused(tmp_path: Path) -> None:
    rows = np.zeros((1, 1, 1, 7), np.float32)
    rows[0, 0, 0] = [0, 3, 0.9, 0, 0, 1, 1]
    with pytest.raises(InvalidModelFileError, match="label 3"):
        import_model(tmp_path, own_model(write_ir(tmp_path / "net.xml", [rows]), decoder="ssd"))


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    a, b = (ops.parameter([1, 3, SIZE, SIZE], np.float32) for _ in range(2))
    ov.save_model(
        ov.Model([ops.add(ops.multiply(a, np.float32(2)), b)], [a, b], "two"),
        str(tmp_path / "net.xml"),
    )
    with pytest.raises(InvalidModelFileError, match="2 inputs"):
        import_model(tmp_path, own_model(tmp_path / "net.xml"))


def test_the_same_version_cannot_be_added_twice(tmp_path: Path) -> None:
    network = write_ir(tmp_path / "net.xml", [yolox_output({})])
    registry = Registry(tmp_path / "own")
    first = add_model(registry, own_model(network))
    with pytest.raises(InvalidManifestError, match="exists already"):
        add_model(registry, own_model(network))
    second = add_model(registry, own_model(network, version="2"))
    assert Registry(tmp_path / "own").resolve("mine") == second != first


def test_a_changed_file_is_refused_when_the_model_is_loaded(
    tmp_path: Path, runtime: Runtime
) -> None:
    manifest = import_model(tmp_path, own_model(write_ir(tmp_path / "net.xml", [yolox_output({})])))
    weights = manifest.directory / "network.bin"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InvalidModelFileError, match="was changed"):
        Detector(Runtime(), manifest)


def test_the_command_adds_lists_and_verifies(
    networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = write_onnx(tmp_path / "net.onnx", yolox_output({}))
    (tmp_path / "net.txt").write_text("person\nforklift\n", encoding="utf-8")
    own = ["--dir", str(tmp_path / "own")]
    add = ["add", str(network), "--decoder", "yolox", "--classes", str(tmp_path / "net.txt")]
    assert main([*add, "--name", "mine", "--threshold", ".6", "--licence", "MIT", *own]) == 0
    capsys.readouterr()
    assert main(["list", "--json", *own]) == 0
    listed = {entry["ref"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed["mine@1"]["licence"] == "MIT"
    assert listed["mine@1"]["classes"] == ["pedestrian", "forklift"]
    assert main(["verify", *own]) == 0
    assert main([*add, "--name", "mine", *own]) == 1
    assert "exists already" in capsys.readouterr().err


@needs_variable("FRAMEWIRE_EVAL_DATA", promise="a foreign YOLOX against our own detector")
def test_a_real_yolox_sees_the_pedestrians_that_nanodet_sees(
    tmp_path: Path, runtime: Runtime, detector: Detector, street_frames: list[Image]
) -> None:
    data = Path(os.environ["FRAMEWIRE_EVAL_DATA"])
    manifest = import_model(
        tmp_path,
        UserModel(
            network=data / "models-extra" / "yolox_nano_416x416.onnx",
            classes=data / "models" / "coco80.txt",
            decoder="yolox",
            name="yolox-nano",
        ),
    )
    chosen = {"classes": ["person"], "low_threshold": 0.6, "threshold": 0.6}
    seen = Detector(runtime, manifest).detect(
        street_frames[0], validate_parameters(manifest, chosen)
    )
    expected = detector.detect(
        street_frames[0], validate_parameters(detector.manifest, {"classes": ["person"]})
    )
    assert len(seen) >= 3
    for box in seen.boxes_px:
        assert np.abs(expected.boxes_px - box).max(axis=1).min() < 12
