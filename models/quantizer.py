"""Quantise a user's own detector to 8-bit integers, after showing what that costs on given clips.

Of the pictures that are taken from the clips, three in four calibrate the network; on the others
the quantised network is compared with the original.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import av
import msgspec
import numpy as np

from models.convert.quantize import float_input, quantize_file
from models.detector import Detector
from models.errors import InvalidManifestError, InvalidModelFileError
from models.graph_io import NetworkInput
from models.importer import manifest_toml, model_file
from models.manifest import USER_MANIFEST, InputOptions, Manifest, ModelFile, load_manifest
from models.parameters import validate_parameters
from models.preprocess import fit
from models.registry import Registry
from models.runtime import Runtime
from models.sizes import InputFit, SourceShape
from models.types import Detections, Floats, Image

MIN_PICTURES, MAX_PICTURES = 20, 4000
"""Frames by which a network is quantised and judged; each takes half a megabyte."""
_COMPARED = 4
"""Every fourth picture is for the comparison."""
_SAME_IOU = 0.5


class Picture(NamedTuple):
    """A frame at the size of the network's input, and the shape that it had."""

    image: Image
    shape: SourceShape


@dataclass(frozen=True, slots=True)
class Loss:
    """What quantisation changes in `n_pictures`: objects at the model's default threshold.

    An object is the same if a box of its class overlaps it by at least half (IoU).
    """

    n_pictures: int
    n_objects: int
    n_lost: int
    n_new: int
    score_change: float
    overlap: float

    def __str__(self) -> str:
        if not self.n_objects and not self.n_new:
            return f"no object in {self.n_pictures} pictures: other clips would say more"
        return (
            f"of {self.n_objects} objects in {self.n_pictures} pictures {self.n_lost} are lost "
            f"({_share(self.n_lost, self.n_objects)}), {self.n_new} are new "
            f"({_share(self.n_new, self.n_objects)}); scores change by {self.score_change:+.3f}, "
            f"boxes overlap by {self.overlap:.3f} on average"
        )


def quantize_model(
    registry: Registry,
    name: str,
    clips: Sequence[Path],
    *,
    accept: Callable[[Loss], bool],
    n_pictures: int = 400,
) -> tuple[Manifest, Loss]:
    """Add an 8-bit network to a user's detector if `accept` returns True for its loss.

    Other precisions of the model stay as they are. Returns the model's manifest. Raises
    InvalidManifestError for a model that ships or has such a network, InvalidModelFileError for a
    clip or network that cannot be used, UnsupportedDeviceError on a processor without VNNI,
    MissingExtraError without NNCF.
    """
    manifest = registry.resolve(name)
    options = _check(manifest)
    runtime = Runtime("CPU", "i8")
    before = Detector(runtime, manifest, "f32")
    pictures = sample(clips, before.fit, n_pictures)
    compared = pictures[::_COMPARED]
    calibrating = [p.image for i, p in enumerate(pictures) if i % _COMPARED]
    pending = Path(tempfile.mkdtemp(prefix=".quantizing-", dir=manifest.directory))
    try:
        files = _quantized_files(manifest, options, calibrating, pending)
        described = msgspec.structs.replace(
            manifest, files=(*manifest.files, *files), directory=Path()
        )
        for file in manifest.files:
            os.link(manifest.directory / file.path, pending / file.path)
        trial = msgspec.structs.replace(described, directory=pending)
        loss = compare(before, Detector(runtime, trial, "i8"), compared)
        if accept(loss):
            for file in files:
                (pending / file.path).replace(manifest.directory / file.path)
            written = pending / USER_MANIFEST
            written.write_text(manifest_toml(described), encoding="utf-8")
            written.replace(manifest.directory / USER_MANIFEST)
            registry.reload()
    finally:
        shutil.rmtree(pending, ignore_errors=True)
    return load_manifest(manifest.directory / USER_MANIFEST), loss


def sample(clips: Sequence[Path], input_fit: InputFit, n_pictures: int) -> list[Picture]:
    """Return about `n_pictures` frames, evenly over the clips' frames, fitted to the input."""
    kept: list[tuple[int, Picture]] = []
    step, index = 1, 0
    for clip in clips:
        for image in _frames(clip):
            if index % step == 0:
                shape = SourceShape(image.shape[1], image.shape[0])
                kept.append((index, Picture(fit(image, input_fit, shape), shape)))
                if len(kept) > n_pictures:
                    step *= 2
                    kept = [(i, picture) for i, picture in kept if i % step == 0]
            index += 1
    if len(kept) < MIN_PICTURES:
        raise InvalidModelFileError(
            f"the clips have {len(kept)} frames; at least {MIN_PICTURES} are needed"
        )
    return [picture for _, picture in kept]


def compare(before: Detector, after: Detector, pictures: Sequence[Picture]) -> Loss:
    """Return what the second detector sees otherwise than the first."""
    parameters = validate_parameters(before.manifest, {})
    n_objects = n_lost = n_new = 0
    scores: list[float] = []
    overlaps: list[float] = []
    for picture in pictures:
        old, new = (
            _sure(
                detector.detect(picture.image, parameters, picture.shape, is_fitted=True),
                parameters["threshold"],
            )
            for detector in (before, after)
        )
        pairs = _pairs(old, new)
        n_objects += len(old)
        n_lost += len(old) - len(pairs)
        n_new += len(new) - len(pairs)
        scores += [float(new.scores[b] - old.scores[a]) for a, b, _ in pairs]
        overlaps += [overlap for _, _, overlap in pairs]
    return Loss(
        len(pictures),
        n_objects,
        n_lost,
        n_new,
        float(np.mean(scores)) if scores else 0.0,
        float(np.mean(overlaps)) if overlaps else 0.0,
    )


def _check(manifest: Manifest) -> InputOptions:
    if manifest.kind != "detect" or manifest.input is None:
        raise InvalidManifestError(f"{manifest.ref} is no detector")
    if not (manifest.directory / USER_MANIFEST).is_file():
        raise InvalidManifestError(f"{manifest.ref} ships with Framewire: quantise your own models")
    if manifest.has_file("network.i8"):
        raise InvalidManifestError(f"{manifest.ref} has an 8-bit network already")
    return manifest.input


def _quantized_files(
    manifest: Manifest, options: InputOptions, pictures: Sequence[Image], into: Path
) -> tuple[ModelFile, ...]:
    weights = "network.weights"
    path = into / "network.i8.xml"
    quantize_file(
        manifest.read_file("network"),
        manifest.read_file(weights) if manifest.has_file(weights) else b"",
        pictures,
        float_input(NetworkInput.of(options, batch=1)),
        path,
    )
    return (
        model_file("network.i8", path),
        model_file("network.i8.weights", path.with_suffix(".bin")),
    )


def _frames(clip: Path) -> Iterator[Image]:
    try:
        with av.open(str(clip)) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    except (OSError, av.FFmpegError, IndexError) as exc:
        raise InvalidModelFileError(f"{clip} cannot be read: {exc}") from exc


def _sure(found: Detections, threshold: float) -> Detections:
    keep = found.scores >= np.float32(threshold)
    return Detections(found.boxes_px[keep], found.scores[keep], found.class_ids[keep])


def _pairs(old: Detections, new: Detections) -> list[tuple[int, int, float]]:
    """Return the same objects as (old, new, IoU): the best overlap first, each object once."""
    overlaps = _ious(old.boxes_px, new.boxes_px)
    overlaps[old.class_ids[:, None] != new.class_ids[None, :]] = 0
    pairs: list[tuple[int, int, float]] = []
    while overlaps.size and overlaps.max() >= _SAME_IOU:
        a, b = (int(i) for i in np.unravel_index(overlaps.argmax(), overlaps.shape))
        pairs.append((a, b, float(overlaps[a, b])))
        overlaps[a], overlaps[:, b] = 0, 0
    return pairs


def _ious(a: Floats, b: Floats) -> Any:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b)]
    return inside / np.maximum(areas[0][:, None] + areas[1][None, :] - inside, 1e-9)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "of none"
