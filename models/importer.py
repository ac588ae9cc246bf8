"""Import of a user's own detector, as `framewire models add` does: copy, describe, test, publish.

Atomic: nothing is visible in the user's directory until the network was compiled, run and decoded.
"""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from models.class_names import public_class
from models.detector import Detector
from models.errors import InvalidManifestError, InvalidModelFileError
from models.manifest import (
    USER_MANIFEST,
    Decoder,
    InputOptions,
    Manifest,
    ModelFile,
    NanodetOptions,
    Resize,
    SsdOptions,
    Thresholds,
    YoloxOptions,
    load_manifest,
    parse_manifest,
)
from models.registry import Registry
from models.runtime import Runtime

DecoderName: TypeAlias = Literal["nanodet", "yolox", "ssd"]
Triple: TypeAlias = tuple[float, float, float]

_PENDING = ".adding-"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserModel:
    """A detector to import. None: use the network's value, or the decoder's usual one.

    `network` is an ONNX file without external data, or an OpenVINO IR .xml with its .bin in the
    same directory. `classes` is a text file with one class name per line, in index order. `strides`
    and `centre` belong to the grid decoders, `first_label` to ssd (the label of the first class: 1
    if 0 is background).
    """

    network: Path
    decoder: DecoderName
    classes: Path
    name: str
    version: str = "1"
    description: str = "a user's own detector"
    licence: str = "not stated"
    source: str = ""
    width: int | None = None
    height: int | None = None
    channels: Literal["BGR", "RGB"] = "BGR"
    mean: Triple | None = None
    scale: Triple | None = None
    resize: Resize | None = None
    strides: tuple[int, ...] = (8, 16, 32)
    centre: float = 0.5
    first_label: int = 1
    threshold: float = 0.4
    low_threshold: float = 0.1
    iou_threshold: float = 0.6


_USUAL_INPUT: dict[DecoderName, tuple[Triple, Triple, Resize]] = {
    "nanodet": ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "plain"),
    "yolox": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "letterbox"),
    "ssd": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "plain"),
}


def add_model(registry: Registry, own: UserModel) -> Manifest:
    """Import a user's own detector into the registry's directory and reload the registry.

    If it raises (InvalidModelFileError or InvalidManifestError), it adds nothing.
    """
    if registry.user_dir is None:
        raise InvalidManifestError("there is no directory for a user's own models")
    if f"{own.name}@{own.version}" in {manifest.ref for manifest in registry.list()}:
        raise InvalidManifestError(f"{own.name}@{own.version} exists already")
    manifest = import_model(own, registry.user_dir)
    registry.reload()
    return manifest


def import_model(own: UserModel, user_dir: Path, runtime: Runtime | None = None) -> Manifest:
    """Copy the model into a directory below `user_dir`, with a manifest; return the manifest.

    Raises InvalidModelFileError if a file cannot be read, the network does not load, or its
    outputs do not fit the decoder; InvalidManifestError if an option is out of range, a class is
    named twice, or the name and version exist already.
    """
    runtime = runtime or Runtime("CPU")
    user_dir.mkdir(parents=True, exist_ok=True)
    final = user_dir / f"{own.name}@{own.version}"
    if final.exists():
        raise InvalidManifestError(f"{final.name} exists already: choose another version")
    pending = Path(tempfile.mkdtemp(prefix=_PENDING, dir=user_dir))
    try:
        files = _copy_network(own.network, pending)
        described = _describe(own, files, runtime, pending)
        try:
            text = _checked(described, final.name, pending, runtime)
        except InvalidModelFileError:
            if described.input is None or described.input.shape == "fixed":
                raise
            # Its input takes any size, but its head was exported for one.
            fixed = msgspec.structs.replace(described.input, shape="fixed")
            described = msgspec.structs.replace(described, input=fixed)
            text = _checked(described, final.name, pending, runtime)
        (pending / USER_MANIFEST).write_text(text, encoding="utf-8")
        pending.chmod(0o755)
        pending.rename(final)
    finally:
        shutil.rmtree(pending, ignore_errors=True)
    return load_manifest(final / USER_MANIFEST)


def _checked(described: Manifest, name: str, directory: Path, runtime: Runtime) -> str:
    """Return the manifest's TOML, once the detector has run by it."""
    text = manifest_toml(described)
    Detector(runtime, parse_manifest(text, name, directory)).check()
    return text


def manifest_toml(manifest: Manifest) -> str:
    """Serialise a manifest as the TOML that `load_manifest` reads."""
    table = msgspec.to_builtins(msgspec.structs.replace(manifest, directory=Path()), enc_hook=str)
    del table["directory"]
    plain = {key: value for key, value in table.items() if value is not None}
    files = plain.pop("files")
    sections = {key: plain.pop(key) for key in list(plain) if isinstance(plain[key], dict)}
    lines = _pairs(plain)
    for key, section in sections.items():
        lines += ["", f"[{key}]", *_pairs(section)]
    for file in files:
        lines += ["", "[[files]]", *_pairs(file)]
    return "\n".join(lines) + "\n"


def _pairs(table: dict[str, Any]) -> list[str]:
    # JSON strings, numbers, booleans and lists of these have the same form in TOML.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]


def _copy_network(network: Path, into: Path) -> tuple[ModelFile, ...]:
    suffix = network.suffix.lower()
    if suffix not in {".onnx", ".xml"}:
        raise InvalidModelFileError(f"{network}: neither .onnx nor an OpenVINO .xml")
    sources = {"network": network}
    if suffix == ".xml":
        sources["network.weights"] = network.with_suffix(".bin")
    files = []
    for role, source in sources.items():
        target = into / f"network{source.suffix.lower()}"
        try:
            shutil.copyfile(source, target)
        except OSError as exc:
            raise InvalidModelFileError(f"cannot read {source}: {exc.strerror}") from exc
        content = target.read_bytes()
        if not content:
            raise InvalidModelFileError(f"{source} is empty")
        sha256 = hashlib.sha256(content).hexdigest()
        files.append(ModelFile(role=role, path=target.name, sha256=sha256, size_bytes=len(content)))
    return tuple(files)


def _describe(
    own: UserModel, files: tuple[ModelFile, ...], runtime: Runtime, directory: Path
) -> Manifest:
    contents = [(directory / file.path).read_bytes() for file in files]
    found = runtime.input_shape(own.network.name, contents[0], b"".join(contents[1:]))
    if len(found) != 4 or 3 not in (found[1], found[3]):
        raise InvalidModelFileError(f"{own.network}: its input {found} is no image of 3 channels")
    layout: Literal["NCHW", "NHWC"] = "NCHW" if found[1] == 3 else "NHWC"
    height, width = found[2:] if layout == "NCHW" else found[1:3]
    mean, scale, resize = _USUAL_INPUT[own.decoder]
    takes_any = max(width, height) < 1 and (own.resize or resize) == "letterbox"
    width, height = own.width or width, own.height or (own.width if takes_any else None) or height
    if min(width, height) < 1:
        raise InvalidModelFileError(f"{own.network}: takes any size: state width and height")
    grid = max(own.strides)
    follows = takes_any and width == height and width % grid == 0
    return Manifest(
        name=own.name,
        version=own.version,
        kind="detect",
        description=own.description,
        licence=own.licence,
        source=own.source or own.network.name,
        files=files,
        classes=_read_classes(own.classes),
        decoder=_decoder(own),
        input=InputOptions(
            width=width,
            height=height,
            layout=layout,
            channels=own.channels,
            mean=own.mean or mean,
            scale=own.scale or scale,
            resize=own.resize or resize,
            shape="source" if follows else "fixed",
            grid=grid if follows else 32,
        ),
        thresholds=Thresholds(
            threshold=own.threshold,
            low_threshold=own.low_threshold,
            iou_threshold=own.iou_threshold,
        ),
    )


def _decoder(own: UserModel) -> Decoder:
    if own.decoder == "nanodet":
        return NanodetOptions(strides=own.strides, centre=own.centre)
    if own.decoder == "yolox":
        return YoloxOptions(strides=own.strides)
    return SsdOptions(first_label=own.first_label)


def _read_classes(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidModelFileError(f"cannot read class names from {path}: {exc}") from exc
    classes = tuple(public_class(line.strip()) for line in lines if line.strip())
    if not classes:
        raise InvalidModelFileError(f"{path} names no class")
    return classes
