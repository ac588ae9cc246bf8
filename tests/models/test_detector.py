import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.detector import MAX_SIZES, Detector
from models.errors import (
    InferenceError,
    InvalidManifestError,
    InvalidModelFileError,
    UnsupportedDeviceError,
)
from models.importer import add_model
from models.manifest import Manifest
from models.parameters import validate_parameters
from models.registry import Registry
from models.runtime import Network, Runtime
from models.sizes import SourceShape
from models.types import Detections, Image
from tests.models.boxes import iou
from tests.models.networks import own_model, write_bright_spots

SHAPE = SourceShape(768, 576)


def same(a: Detections, b: Detections) -> bool:
    return all(
        np.array_equal(x, y)
        for x, y in (
            (a.boxes_px, b.boxes_px),
            (a.scores, b.scores),
            (a.class_ids, b.class_ids),
        )
    )


def test_pedestrians_are_found_where_they_walk(
    detector: Detector, street_frames: list[Image]
) -> None:
    parameters = validate_parameters(detector.manifest, {"classes": ["person"]})
    found = detector.detect(street_frames[0], parameters)
    # Placed by eye in the frame: left, top, right, bottom.
    by_eye = np.array(
        [[500, 158, 530, 232], [642, 240, 684, 324], [252, 220, 283, 308]], np.float32
    )
    sure = found.boxes_px[found.scores >= 0.7]
    assert len(sure) == 3
    assert all(max(iou(box, found) for found in sure) > 0.8 for box in by_eye)


def test_detections_are_sorted_clipped_and_above_the_low_threshold(
    detector: Detector, street_frames: list[Image]
) -> None:
    for frame in street_frames:
        found = detector.detect(frame, validate_parameters(detector.manifest, {}))
        assert len(found) > 3
        assert (np.diff(found.scores) <= 0).all()
        assert found.scores.min() >= 0.1
        assert found.boxes_px.min() >= 0
        assert (found.boxes_px[:, 2:] <= (768, 576)).all()
        assert (found.boxes_px[:, 2:] >= found.boxes_px[:, :2]).all()


def test_classes_only_filter(detector: Detector, street_frames: list[Image]) -> None:
    everything = detector.detect(street_frames[1], validate_parameters(detector.manifest, {}))
    chosen = validate_parameters(detector.manifest, {"classes": ["automobile", "truck"]})
    vehicles = detector.detect(street_frames[1], chosen)
    wanted = [detector.manifest.classes.index(name) for name in ("automobile", "truck")]
    keep = np.isin(everything.class_ids, wanted)
    assert 0 < keep.sum() < len(everything)
    np.testing.assert_array_equal(vehicles.boxes_px, everything.boxes_px[keep])


def test_limits_keep_the_best(detector: Detector, street_frames: list[Image]) -> None:
    all_of_it = detector.detect(street_frames[0], validate_parameters(detector.manifest, {}))
    parameters = validate_parameters(detector.manifest, {"max_targets": 2, "low_threshold": 0.2})
    best = detector.detect(street_frames[0], parameters)
    np.testing.assert_array_equal(best.scores, all_of_it.scores[:2])


def test_a_frame_that_was_scaled_before_gives_the_same_boxes(
    detector: Detector, street_frames: list[Image]
) -> None:
    parameters = validate_parameters(detector.manifest, {})
    assert detector.fit.scaled_size(SHAPE) == (416, 312)
    assert detector.fit.network_size(SHAPE) == (416, 320)
    small = np.asarray(cv2.resize(street_frames[0], (416, 312)), np.uint8)
    expected = detector.detect(street_frames[0], parameters)
    assert same(detector.detect(small, parameters, SHAPE), expected)
    wide = np.zeros((312, 500, 3), np.uint8)
    wide[:, :416] = small
    assert same(detector.detect(wide[:, :416], parameters, SHAPE), expected)
    fitted = np.full((320, 416, 3), 114, np.uint8)
    fitted[:312] = small
    assert same(detector.detect(fitted, parameters, SHAPE, is_fitted=True), expected)


def test_four_threads_get_what_one_gets(detector: Detector, street_frames: list[Image]) -> None:
    parameters = validate_parameters(detector.manifest, {})
    alone = [detector.detect(frame, parameters) for frame in street_frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(lambda i: detector.detect(street_frames[i % 3], parameters), range(24))
        )
    assert all(same(found, alone[i % 3]) for i, found in enumerate(together))


def test_another_runtime_gives_the_same_bits(
    detector: Detector, runtime: Runtime, street_frames: list[Image]
) -> None:
    parameters = validate_parameters(detector.manifest, {})
    other = Detector(Runtime("CPU", runtime.precision), detector.manifest)
    other.warm()
    assert same(
        other.detect(street_frames[2], parameters), detector.detect(street_frames[2], parameters)
    )


def test_f32_matches_the_network_run_by_hand(
    runtime: Runtime, detector: Detector, street_frames: list[Image]
) -> None:
    """The graph's additions (u8 input, normalisation, best class) against numpy on the plain IR."""
    import openvino as ov

    """With a frame that fills the size with which the network was exported."""
    square = np.ascontiguousarray(street_frames[0][:, :576])
    image = cv2.resize(square, (416, 416)).astype(np.float32)
    mean = np.array([103.53, 116.28, 123.675], np.float32)
    scale = np.array([57.375, 57.12, 58.395], np.float32)
    blob = ((image - mean) / scale).transpose(2, 0, 1)[None]
    path = detector.manifest.directory / detector.manifest.file("network").path
    plain = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = list(plain(blob).values())
    scores = np.concatenate([output[0] for output in outputs[:3]])
    found = Detector(runtime, detector.manifest, "f32").detect(
        square, validate_parameters(detector.manifest, {"low_threshold": 0.3})
    )
    assert len(found) >= 3
    for score, class_id in zip(found.scores, found.class_ids, strict=True):
        best = scores[:, class_id]
        assert np.abs(best - score).min() < 1e-4
    assert found.scores[0] == pytest.approx(scores.max(), abs=1e-4)


def test_a_frame_in_read_only_memory_is_taken_as_it_is(
    detector: Detector, street_frames: list[Image]
) -> None:
    parameters = validate_parameters(detector.manifest, {})
    small = np.asarray(cv2.resize(street_frames[0], (416, 320)), np.uint8)
    frozen = np.frombuffer(small.tobytes(), np.uint8).reshape(320, 416, 3)
    assert not frozen.flags.writeable
    assert same(
        detector.detect(frozen, parameters, SHAPE, is_fitted=True),
        detector.detect(small, parameters, SHAPE, is_fitted=True),
    )


def test_one_network_is_shared_by_all_that_use_it(runtime: Runtime, detector: Detector) -> None:
    again = Detector(runtime, detector.manifest)
    assert again._network((416, 320)) is detector._network((416, 320))
    assert again._network((416, 256)) is not detector._network((416, 320))
    pinned = Detector(runtime, detector.manifest, runtime.precision)
    assert pinned._network((416, 320)) is again._network((416, 320))


@pytest.fixture
def of_any_size(tmp_path: Path) -> Manifest:
    """A tiny detector whose network takes the shape of the source."""
    network = write_bright_spots(tmp_path / "net.xml")
    return add_model(Registry(tmp_path / "own"), own_model(network, width=64))


def test_a_network_is_compiled_once_however_many_wait_for_it(
    of_any_size: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, compiled = Runtime("CPU"), list[object]()
    true_compile = runtime._compile

    def counted(*arguments: object) -> Network:
        compiled.append(arguments)
        time.sleep(0.1)  # the others ask meanwhile
        return true_compile(*arguments)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(runtime, "_compile", counted)
    other = Detector(runtime, of_any_size)
    with ThreadPoolExecutor(6) as pool:
        networks = set(pool.map(other._network, [(96, 64), (32, 64)] * 3))
    assert len(networks) == 2
    assert len(compiled) == 3  # and that of the commonest shape, when the model was loaded


def test_a_network_that_cannot_be_compiled_fails_for_all_that_wait(
    of_any_size: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime("CPU")
    other = Detector(runtime, of_any_size)

    def failing(*_: object) -> Network:
        time.sleep(0.1)
        raise InvalidModelFileError("no")

    with monkeypatch.context() as patched:
        patched.setattr(runtime, "_compile", failing)
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(other._network, (96, 96)) for _ in range(4)]
        assert all(isinstance(f.exception(), InvalidModelFileError) for f in futures)
    assert other._network((96, 96)), "it is tried again"


def test_a_detector_keeps_the_networks_of_the_latest_sizes(of_any_size: Manifest) -> None:
    other = Detector(Runtime("CPU"), of_any_size)
    for height in range(32, 32 * (MAX_SIZES + 3), 32):
        other._network((64, height))
    assert len(other._networks) == MAX_SIZES
    assert (64, 32) not in other._networks


def test_people_are_found_alike_in_frames_of_every_shape(
    detector: Detector, street_frames: list[Image]
) -> None:
    """What is beside a person does not change how it is seen: true proportions in every shape."""
    parameters = validate_parameters(detector.manifest, {"classes": ["person"]})
    part = street_frames[0][120:360, 460:700]
    expected = detector.detect(part, parameters)
    sure = expected.boxes_px[expected.scores >= 0.7]
    assert len(sure)
    for width, height in ((426, 240), (240, 426), (320, 240)):
        frame = np.full((height, width, 3), 114, np.uint8)
        frame[:240, :240] = part
        found = detector.detect(frame, parameters)
        for box in sure:
            assert max(iou(box, other) for other in found.boxes_px) > 0.8, (width, height)


def test_pixels_that_are_not_square_are_shown_in_true_proportions(
    detector: Detector, street_frames: list[Image]
) -> None:
    parameters = validate_parameters(detector.manifest, {"classes": ["person"]})
    squeezed = np.asarray(cv2.resize(street_frames[0], (384, 576)), np.uint8)  # pixels of 2:1
    shape = SourceShape(384, 576, (2, 1))
    assert detector.fit.scaled_size(shape) == (416, 312)
    true = detector.detect(street_frames[0], parameters)
    found = detector.detect(squeezed, parameters, shape)
    sure = true.boxes_px[true.scores >= 0.6] / np.array([2, 1, 2, 1])
    assert len(sure) >= 3
    for box in sure:
        assert max(iou(box, other) for other in found.boxes_px) > 0.8


def test_the_earlier_version_stretches_frames_as_it_did(
    networks: None, runtime: Runtime, registry: Registry, street_frames: list[Image]
) -> None:
    pinned = Detector(runtime, registry.resolve("nanodet-g@1.0.0"))
    assert pinned.fit.scaled_size(SHAPE) == pinned.fit.network_size(SHAPE) == (416, 416)
    parameters = validate_parameters(pinned.manifest, {})
    small = np.asarray(cv2.resize(street_frames[0], (416, 416)), np.uint8)
    assert same(
        pinned.detect(small, parameters, SHAPE, is_fitted=True),
        pinned.detect(street_frames[0], parameters),
    )


def test_the_only_device_is_used_directly(runtime: Runtime) -> None:
    import openvino as ov

    assert runtime.device in ov.Core().available_devices
    assert runtime.device_name
    assert Runtime("AUTO").device == runtime.device
    assert Runtime("AUTO:NPU,GPU,CPU").device in ov.Core().available_devices


@pytest.mark.parametrize("device", ["TPU", "AUTO:TPU", "TPU.1"])
def test_a_device_that_does_not_exist_is_named(device: str) -> None:
    with pytest.raises(UnsupportedDeviceError, match="CPU"):
        Runtime(device)


def test_a_precision_that_the_device_lacks_is_refused(runtime: Runtime) -> None:
    assert runtime.resolve_precision("f32") == "f32"
    assert runtime.resolve_precision("auto") == runtime.precision
    with pytest.raises(UnsupportedDeviceError, match="f32"):
        runtime.resolve_precision("int3")  # type: ignore[arg-type]  # what a file could say


def test_a_network_that_fails_frees_its_request(
    detector: Detector, street_frames: list[Image]
) -> None:
    network = detector._network((416, 320))
    for _ in range(network.n_requests + 1):
        wrong = np.zeros((1, 5, 5, 3), np.uint8)
        with pytest.raises(InferenceError), network.infer(wrong):
            pass
    assert len(detector.detect(street_frames[0], validate_parameters(detector.manifest, {})))


def test_only_detect_models_detect(runtime: Runtime, registry: Registry) -> None:
    with pytest.raises(InvalidManifestError, match="no detect model"):
        Detector(runtime, registry.resolve("ocr"))


def test_a_detector_is_ready_for_a_shape_once_it_was_prepared(of_any_size: Manifest) -> None:
    other = Detector(Runtime("CPU"), of_any_size)
    tall, parameters = SourceShape(100, 400), {"detail": "fine"}
    assert other.is_ready(SourceShape(1920, 1080), {})  # the usual shape: when it is loaded
    assert not other.is_ready(tall, {})
    other.prepare(tall, {})
    assert other.is_ready(tall, {})
    assert other.is_ready(SourceShape(200, 800), {})
    large = SourceShape(1920, 1080)
    assert not other.is_ready(large, parameters)  # the second look is another network
    other.prepare(large, parameters)
    assert other.is_ready(large, parameters)
