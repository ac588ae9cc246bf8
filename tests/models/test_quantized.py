"""8-bit networks: the same bits wherever they run, and a user's own made and judged."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from models.__main__ import main
from models.detector import Detector
from models.errors import InvalidManifestError, InvalidModelFileError, UnsupportedDeviceError
from models.importer import add_model
from models.ocr import TextReader
from models.parameters import validate_parameters
from models.preprocess import fit
from models.processor import cpu_flags, has_vnni
from models.quantizer import Loss, Picture, compare, quantize_model, sample
from models.registry import Registry
from models.runtime import Runtime
from models.types import Image
from tests.models.networks import own_model, write_bright_spots
from tests.models.test_detector import SHAPE, same

ROOT = Path(__file__).parents[2]
needs_vnni = pytest.mark.skipif(not has_vnni(), reason="this processor has no VNNI")


@pytest.fixture(scope="module")
def eight_bit(networks: None, registry: Registry) -> tuple[Runtime, Detector]:
    runtime = Runtime("CPU", "i8")
    return runtime, Detector(runtime, registry.resolve("detect"), "i8")


def test_the_processors_flags_are_read() -> None:
    text = "processor\t: 0\nmodel name\t: X\nflags\t\t: fpu sse avx512_vnni\n\nflags : other\n"
    assert cpu_flags(text) == {"fpu", "sse", "avx512_vnni"}
    assert cpu_flags("") == frozenset()


@needs_vnni
def test_auto_is_8_bit_where_the_processor_has_the_instructions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime = Runtime("CPU")
    assert runtime.precision in {"i8", "i8-bf16"}
    monkeypatch.setattr("models.runtime.has_vnni", lambda: False)
    assert runtime.resolve_precision() in {"bf16", "f32"}
    with pytest.raises(UnsupportedDeviceError, match="i8"):
        runtime.resolve_precision("i8")


@needs_vnni
def test_the_detector_is_the_same_with_and_without_bf16(
    eight_bit: tuple[Runtime, Detector], street_frames: list[Image]
) -> None:
    runtime, plain = eight_bit
    parameters = validate_parameters(plain.manifest, {})
    assert len(plain.detect(street_frames[0], parameters)) > 3
    if "i8-bf16" in runtime.precisions():
        other = Detector(runtime, plain.manifest, "i8-bf16")
        assert other._network((416, 320)) is plain._network((416, 320))


@needs_vnni
def test_8_bit_results_do_not_depend_on_threads_or_on_what_runs_beside(
    eight_bit: tuple[Runtime, Detector], street_frames: list[Image]
) -> None:
    _, first = eight_bit
    parameters = validate_parameters(first.manifest, {})
    again = Detector(Runtime("CPU", "i8"), first.manifest)
    alone = [first.detect(frame, parameters) for frame in street_frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(lambda i: again.detect(street_frames[i % 3], parameters), range(12))
        )
    assert all(same(found, alone[i % 3]) for i, found in enumerate(together))


_HASH = """
import hashlib, sys
import numpy as np
from models.detector import Detector
from models.parameters import validate_parameters
from models.registry import Registry
from models.runtime import Runtime
frame = np.load(sys.argv[1])
detector = Detector(Runtime("CPU", "i8"), Registry().resolve("detect"), "i8")
found = detector.detect(frame, validate_parameters(detector.manifest, {}))
content = found.boxes_px.tobytes() + found.scores.tobytes() + found.class_ids.tobytes()
print(len(found), hashlib.sha256(content).hexdigest())
"""


@needs_vnni
@pytest.mark.usefixtures("processes")
def test_a_processor_without_bf16_gives_the_same_bits(
    tmp_path: Path, street_frames: list[Image]
) -> None:
    """oneDNN is told to use no later instructions than VNNI's: as on a processor without bf16."""
    flags = cpu_flags(Path("/proc/cpuinfo").read_text())
    if "avx512_vnni" not in flags:
        pytest.skip("this processor has no AVX-512")
    np.save(tmp_path / "frame.npy", street_frames[0])
    answers = [
        subprocess.run(
            [sys.executable, "-c", _HASH, str(tmp_path / "frame.npy")],
            env={**os.environ, "PYTHONPATH": str(ROOT), "ONEDNN_MAX_CPU_ISA": limit},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for limit in ("DEFAULT", "AVX512_CORE_VNNI")
    ]
    assert int(answers[0].split()[0]) > 3
    assert answers[0] == answers[1]


@needs_vnni
def test_text_is_read_with_an_8_bit_finder(networks: None, registry: Registry) -> None:
    manifest = registry.resolve("ocr")
    assert manifest.has_file("finder.i8")
    reader = TextReader(Runtime("CPU", "i8"), manifest)
    with av.open(str(ROOT / "tests/data/text_signs.mp4")) as container:
        frame = np.asarray(next(container.decode(video=0)).to_ndarray(format="bgr24"), np.uint8)
    words = {line.text.upper() for line in reader.read(frame)[0]}
    assert "NOTICE" in words


def write_clip(path: Path, n_frames: int = 60) -> Path:
    """White squares of 16 px that walk over a dark picture of 128 x 64."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for i in range(n_frames):
            picture = np.full((64, 128, 3), 20, np.uint8)
            left = 16 * (i % 8)
            picture[16:32, left : left + 16] = 255
            picture[48:64, 112 - left : 128 - left] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def own(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "own")
    network = write_bright_spots(tmp_path / "net.xml", n_layers=3)
    add_model(registry, own_model(network, width=64))
    return registry


@needs_vnni
def test_a_users_detector_is_quantised_once_its_loss_was_seen(
    tmp_path: Path, own: Registry
) -> None:
    pytest.importorskip("nncf")
    clip, told = write_clip(tmp_path / "clip.mp4"), list[Loss]()

    def refuse(loss: Loss) -> bool:
        told.append(loss)
        return False

    before = {path.name: path.read_bytes() for path in (tmp_path / "own/mine@1").iterdir()}
    manifest, loss = quantize_model(own, "mine", [clip], accept=refuse)
    assert told == [loss]
    assert (loss.n_pictures, loss.n_objects, loss.n_lost) == (15, 30, 0)
    assert loss.overlap > 0.95
    assert not manifest.has_file("network.i8")
    assert {p.name: p.read_bytes() for p in (tmp_path / "own/mine@1").iterdir()} == before

    manifest, _ = quantize_model(own, "mine", [clip], accept=lambda _: True)
    assert own.resolve("mine") == manifest
    for file in manifest.files:
        manifest.read_file(file.role)
    frame = np.full((64, 128, 3), 20, np.uint8)
    frame[16:32, 32:48] = 255
    found = Detector(Runtime("CPU", "i8"), manifest).detect(
        frame, validate_parameters(manifest, {})
    )
    np.testing.assert_allclose(found.boxes_px[0], [32, 16, 48, 32], atol=1)
    with pytest.raises(InvalidManifestError, match="already"):
        quantize_model(own, "mine", [clip], accept=lambda _: True)


@needs_vnni
def test_the_command_shows_the_loss_and_adds_nothing_unasked(
    tmp_path: Path, own: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("nncf")
    clip = write_clip(tmp_path / "clip.mp4")
    command = ["quantize", "mine", str(clip), "--dir", str(own.user_dir)]
    assert main(command) == 0
    output = capsys.readouterr()
    assert "of 30 objects in 15 pictures 0 are lost (0.0%)" in output.err
    assert "nothing was added" in output.out
    assert main([*command, "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] is True


def test_what_cannot_be_quantised_is_refused(tmp_path: Path, own: Registry) -> None:
    for name, message in (("detect", "ships"), ("ocr", "no detector")):
        with pytest.raises(InvalidManifestError, match=message):
            quantize_model(own, name, [], accept=lambda _: True)
    options = own.resolve("mine").input
    assert options is not None
    with pytest.raises(InvalidModelFileError, match="gone"):
        sample([tmp_path / "gone.mp4"], options.fit, 100)
    with pytest.raises(InvalidModelFileError, match="at least 20"):
        sample([write_clip(tmp_path / "short.mp4", 7)], options.fit, 100)


def test_pictures_are_taken_evenly(tmp_path: Path, own: Registry) -> None:
    options = own.resolve("mine").input
    assert options is not None
    clips = [write_clip(tmp_path / f"{i}.mp4", 50) for i in range(2)]
    pictures = sample(clips, options.fit, 30)
    assert len(pictures) == 25  # every fourth of a hundred
    assert {picture.image.shape for picture in pictures} == {(32, 64, 3)}


def test_a_comparison_with_itself_loses_nothing_and_says_so(
    detector: Detector, street_frames: list[Image]
) -> None:
    pictures = [Picture(fit(frame, detector.fit, SHAPE), SHAPE) for frame in street_frames]
    loss = compare(detector, detector, pictures)
    assert loss.n_objects > 5
    assert (loss.n_lost, loss.n_new, loss.score_change, loss.overlap) == (0, 0, 0.0, 1.0)
    assert "0 are lost (0.0%)" in str(loss)
    assert "no object" in str(compare(detector, detector, []))
