"""What people export is recognised without a flag, and gives its objects where they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from models.__main__ import main
from models.class_names import COCO_80, COCO_91
from models.detector import Detector
from models.embedding import FeatureExtractor
from models.errors import InvalidModelFileError
from models.importer import UserModel, add_model
from models.manifest import Manifest
from models.parameters import validate_parameters
from models.registry import Registry
from models.runtime import Runtime
from models.types import Detections
from tests.models.exports import (
    BOX,
    CLASSES,
    EXPORTS,
    NAMED,
    OTHER,
    SIZE,
    class_scores,
    rows,
    write,
    yolo_v8,
)
from tests.models.networks import nanodet_output, write_ir, yolox_output


def added(tmp_path: Path, network: Path, **options: Any) -> Manifest:
    return add_model(Registry(tmp_path / "own"), UserModel(network=network, **options))


def seen(runtime: Runtime, manifest: Manifest, **parameters: Any) -> Detections:
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    values = validate_parameters(manifest, {"threshold": 0.5, **parameters})
    return Detector(runtime, manifest, "f32").detect(frame, values)


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_recognised_and_its_objects_are_where_they_are(
    tmp_path: Path, runtime: Runtime, name: str
) -> None:
    outputs, options, family = EXPORTS[name]
    network = write(tmp_path / "My Net.xml", outputs(), info=NAMED, **options)
    manifest = added(tmp_path, network)
    assert manifest.ref == "my-net@1"
    assert manifest.description == f"a user's own detector ({family})"
    assert manifest.classes == CLASSES
    found = seen(runtime, manifest)
    sure = found.scores >= 0.5
    np.testing.assert_allclose(found.boxes_px[sure], [BOX, OTHER], atol=0.01)
    np.testing.assert_allclose(found.scores[sure], [0.9, 0.6], atol=1e-5)
    assert [manifest.classes[i] for i in found.class_ids[sure]] == ["forklift", "cone"]


@pytest.mark.parametrize("name", ["YOLOv8", "YOLOv10"])
def test_a_wide_frame_gives_boxes_in_its_own_pixels(
    tmp_path: Path, runtime: Runtime, name: str
) -> None:
    outputs, options, _ = EXPORTS[name]
    manifest = added(tmp_path, write(tmp_path / "net.xml", outputs(), info=NAMED, **options))
    found = Detector(runtime, manifest, "f32").detect(
        np.zeros((96, 128, 3), np.uint8), validate_parameters(manifest, {})
    )
    np.testing.assert_allclose(found.boxes_px[0], np.array(BOX) * 2, atol=0.01)


def test_an_end_to_end_network_is_not_suppressed_again(tmp_path: Path, runtime: Runtime) -> None:
    outputs = {"output0": rows(300, [*BOX, 0.9, 1], [*BOX, 0.8, 1])[None]}
    manifest = added(tmp_path, write(tmp_path / "net.xml", outputs, info=NAMED))
    assert manifest.thresholds.iou_threshold == 1.0
    assert len(seen(runtime, manifest, low_threshold=0.5)) == 2


def test_labels_that_are_no_class_are_no_object(tmp_path: Path, runtime: Runtime) -> None:
    outputs = {"output0": rows(300, [*BOX, 0.9, 7], [*OTHER, 0.6, -1])[None]}
    manifest = added(tmp_path, write(tmp_path / "net.xml", outputs, info=NAMED))
    assert len(seen(runtime, manifest, low_threshold=0.5)) == 0


def test_nanodet_and_raw_yolox_are_known_by_their_grids(tmp_path: Path) -> None:
    whole = nanodet_output({10: (0.2, 0.7)})
    ends = [64, 80]
    parts = [*np.split(whole[..., 2:], ends, axis=1), *np.split(whole[..., :2], ends, axis=1)]
    classes = tmp_path / "names.txt"
    classes.write_text("person\nforklift\n")
    many = added(tmp_path, write_ir(tmp_path / "many.xml", parts), classes=classes)
    assert many.decoder is not None
    assert type(many.decoder).__name__ == "NanodetOptions"
    # Rows of 2 + 32 numbers could be a YOLOX of 29 classes: that is said, not guessed.
    with pytest.raises(InvalidModelFileError, match="YOLOX is assumed: state --decoder"):
        added(tmp_path, write_ir(tmp_path / "one.xml", [whole]), classes=classes)
    raw = write_ir(tmp_path / "raw.xml", [yolox_output({10: (0.9, 0.1, 0.8)})])
    with pytest.raises(InvalidModelFileError, match="state --decoder"):
        added(tmp_path, raw, classes=classes)
    assert added(tmp_path, raw, classes=classes, decoder="yolox").classes[1] == "forklift"


def test_a_network_of_80_classes_has_cocos(tmp_path: Path) -> None:
    table = np.zeros((1, 84, 84), np.float32)
    assert added(tmp_path, write(tmp_path / "coco.xml", {"output0": table})).classes == COCO_80
    logits = {"dets": np.full((1, 9, 4), 0.5), "labels": np.full((1, 9, 91), -5.0)}
    manifest = added(tmp_path, write(tmp_path / "rf.xml", logits))
    assert manifest.classes == COCO_91
    assert (manifest.classes[1], manifest.classes[3]) == ("pedestrian", "automobile")


def test_a_network_without_names_asks_for_them(tmp_path: Path) -> None:
    network = write(tmp_path / "net.xml", yolo_v8())
    with pytest.raises(InvalidModelFileError, match=r"3 classes.*state --classes FILE"):
        added(tmp_path, network)
    (tmp_path / "names.txt").write_text("\n".join(CLASSES))
    assert added(tmp_path, network, classes=tmp_path / "names.txt").classes == CLASSES


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"id2label": {"zero": "cone"}}', "id2label"),
        ('{"names": 5}', "names"),
        ('{"image_mean": ["a", 1, 1], "image_std": [1, 1, 1]}', "image_mean"),
        ('{"image_mean": [1, 1, 1], "image_std": [null, 1, 1]}', "image_std"),
    ],
)
def test_metadata_that_cannot_be_used_is_named(tmp_path: Path, text: str, field: str) -> None:
    network = write(tmp_path / "net.xml", yolo_v8())
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidModelFileError, match=field):
        added(tmp_path, network)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("metadata.yaml", "task: detect\nnames:\n  0: cone\n  1: forklift\n  2: pallet\n"),
        ("config.json", '{"id2label": {"0": "cone", "1": "forklift", "2": "pallet"}}'),
    ],
)
def test_names_lie_beside_a_network(tmp_path: Path, file: str, text: str) -> None:
    folder = tmp_path / "best_openvino_model"
    folder.mkdir()
    write(folder / "best.xml", yolo_v8())
    (folder / file).write_text(text)
    manifest = added(tmp_path, folder)
    assert manifest.ref == "best@1"
    assert manifest.classes == CLASSES


def test_openvinos_own_metadata_is_followed(tmp_path: Path) -> None:
    info = {
        "model_info": {
            "labels": "cone fork_lift pallet",
            "resize_type": "standard",
            "reverse_input_channels": "NO",
            "mean_values": "1 2 3",
            "scale_values": "4 5 6",
            "confidence_threshold": "0.35",
        }
    }
    manifest = added(tmp_path, write(tmp_path / "net.xml", yolo_v8(), info=info))
    assert manifest.classes == ("cone", "fork lift", "pallet")
    options = manifest.input
    assert options is not None
    assert (options.resize, options.channels) == ("plain", "BGR")
    assert (options.mean, options.scale) == ((1, 2, 3), (4, 5, 6))
    assert manifest.thresholds.threshold == 0.35


@pytest.mark.parametrize("task", ["segment", "pose", "obb", "classify"])
def test_other_tasks_are_refused_by_name(tmp_path: Path, task: str) -> None:
    info = {"framework": {"task": task, "names": "{0: 'cone', 1: 'forklift', 2: 'pallet'}"}}
    network = write(tmp_path / "net.xml", yolo_v8(), info=info)
    with pytest.raises(InvalidModelFileError, match=f"a model for {task}: only detectors"):
        added(tmp_path, network)


def test_a_segmentation_network_without_metadata_is_known_by_its_masks(tmp_path: Path) -> None:
    outputs = {**yolo_v8(), "output1": np.zeros((1, 32, 16, 16), np.float32)}
    with pytest.raises(InvalidModelFileError, match="segmentation"):
        added(tmp_path, write(tmp_path / "net.xml", outputs))


def test_what_is_unknown_is_listed_and_never_guessed(tmp_path: Path) -> None:
    network = write(tmp_path / "net.xml", {"a": np.zeros((1, 7, 9)), "b": class_scores(5)[None]})
    with pytest.raises(
        InvalidModelFileError, match=r"no known format.*a \[1, 7, 9\], b \[1, 5, 3\]"
    ):
        added(tmp_path, network)
    extra = write(tmp_path / "two.xml", yolo_v8(), extra=[("mask", np.float32, [1, 4])])
    with pytest.raises(InvalidModelFileError, match="has 2 inputs"):
        added(tmp_path, extra)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InvalidModelFileError, match="0 networks"):
        added(tmp_path, empty)


@pytest.mark.parametrize("names", ["{", "[[[[", "7", "{'x': 1}", "(" * 5000])
def test_names_that_cannot_be_read_are_no_names(tmp_path: Path, names: str) -> None:
    info = {"framework": {"names": names}}
    network = write(tmp_path / "net.xml", yolo_v8(), info=info)
    with pytest.raises(InvalidModelFileError, match="state --classes"):
        added(tmp_path, network)


def test_the_command_needs_the_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = write(tmp_path / "Forklifts v2.xml", yolo_v8(), info=NAMED)
    own = ["--dir", str(tmp_path / "own")]
    assert main(["add", str(network), *own]) == 0
    assert (
        "added forklifts-v2@1: a user's own detector (YOLO), 3 classes" in capsys.readouterr().out
    )
    assert main(["list", "--json", *own]) == 0
    assert "forklifts-v2@1" in {m["ref"] for m in json.loads(capsys.readouterr().out)}


def write_embedding(path: Path, *, batch: int = -1, outputs: str = "one") -> Path:
    """Twelve numbers of each picture: the mean colours of its four quarters."""
    image = ops.parameter([batch, 3, 32, 16], np.float32, name="pixel_values")
    pooled = ops.avg_pool(image, [16, 8], [0, 0], [0, 0], [16, 8], exclude_pad=True)
    rows = ops.reshape(pooled, np.array([0, 12]), True)
    parts = {"image_embeds": rows}
    if outputs != "one":
        parts = {"last_hidden_state": ops.reshape(pooled, np.array([0, 4, 3]), True), **parts}
    if outputs == "unclear":
        parts = {"a": rows, "b": ops.multiply(rows, np.float32(2))}
    results = []
    for name, node in parts.items():
        node.output(0).set_names({name})
        results.append(ops.result(node))
    ov.save_model(ov.Model(results, [image], "e"), str(path), compress_to_fp16=False)
    return path


@pytest.mark.parametrize(("batch", "outputs"), [(-1, "one"), (1, "one"), (-1, "several")])
def test_any_network_of_vectors_gives_features(
    tmp_path: Path, runtime: Runtime, batch: int, outputs: str
) -> None:
    network = write_embedding(tmp_path / "tower.xml", batch=batch, outputs=outputs)
    manifest = added(tmp_path, network, kind="feature", mean=(0.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0))
    assert (manifest.kind, manifest.dimensions) == ("feature", 12)
    assert manifest.description == "a user's own feature vectors"
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :32], picture[:, 64:] = (10, 20, 30), (70, 80, 90)
    boxes = np.array([[0, 0, 32, 64], [64, 0, 96, 64], [32, 0, 64, 64]], np.float32)
    vectors = FeatureExtractor(runtime, manifest, "f32").extract(picture, boxes)
    assert vectors.shape == (3, 12)
    np.testing.assert_allclose(vectors[1].reshape(3, 4), [[90] * 4, [80] * 4, [70] * 4], atol=0.5)
    np.testing.assert_allclose(vectors[0].reshape(3, 4)[0], [30, 30, 0, 0], atol=3)
    assert not vectors[2].any()


def test_what_the_file_does_not_say_of_its_input_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_embedding(tmp_path / "tower.xml")
    command = ["add", str(tmp_path / "tower.xml"), "--kind", "feature", "--dir"]
    assert main([*command, str(tmp_path / "one")]) == 0
    told = capsys.readouterr().out
    assert "RGB with ImageNet's mean and scale is assumed, 12 dimensions" in told
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}'
    )
    assert main([*command, str(tmp_path / "two")]) == 0
    assert "assumed" not in capsys.readouterr().out
    manifest = Registry(tmp_path / "two").resolve("tower")
    assert manifest.input is not None
    assert manifest.input.mean == (127.5, 127.5, 127.5)


def test_a_network_without_one_vector_a_picture_is_refused(tmp_path: Path) -> None:
    for name, network in (
        ("boxes", write(tmp_path / "boxes.xml", yolo_v8())),
        ("unclear", write_embedding(tmp_path / "unclear.xml", outputs="unclear")),
    ):
        with pytest.raises(InvalidModelFileError, match="no output is one vector"):
            added(tmp_path, network, kind="feature", name=name)
    blind = write(tmp_path / "blind.xml", {"embedding": np.ones((1, 8))})
    with pytest.raises(InvalidModelFileError, match="the same vector"):
        added(tmp_path, blind, kind="feature")
