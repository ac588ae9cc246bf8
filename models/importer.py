"""Import of a user's own model, as `framewire models add` does: copy, describe, test, publish.

Atomic: nothing is visible in the user's directory until the network was compiled, run and decoded.
"""

import hashlib
import json
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from models.class_names import public_class
from models.detector import Detector
from models.embedding import FeatureExtractor
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
from models.output_formats import Recognised
from models.recognition import recognise, recognise_embedding
from models.registry import Registry
from models.runtime import Runtime
from models.text_description import TextWishes, describe_text, pictures_of, tokenizer_of
from models.text_encoder import TextEncoder

DecoderName: TypeAlias = Literal["nanodet", "yolox", "ssd"]
Triple: TypeAlias = tuple[float, float, float]

_PENDING = ".adding-"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserModel:
    """A model to import. None: use the network's value, or its format's usual one.

    `network` is an ONNX file without external data, an OpenVINO IR .xml with its .bin in the same
    directory, or a directory with one of them. Without a `decoder`, the format is recognised
    (`models.recognition`). `classes` is a text file with one class name per line, in index order.
    `strides` and `centre` belong to the grid decoders, `first_label` to ssd (the label of the first
    class: 1 if 0 is background). `tokenizer` (a tokenizer.json), `feature_model` (whose pictures
    its words find), `context_length` (tokens) and `pad_token` belong to text encoders.
    """

    network: Path
    kind: Literal["detect", "feature", "text-encoder"] = "detect"
    decoder: DecoderName | None = None
    classes: Path | None = None
    name: str | None = None
    version: str = "1"
    description: str | None = None
    licence: str = "not stated"
    source: str = ""
    width: int | None = None
    height: int | None = None
    channels: Literal["BGR", "RGB"] | None = None
    mean: Triple | None = None
    scale: Triple | None = None
    resize: Resize | None = None
    strides: tuple[int, ...] = (8, 16, 32)
    centre: float = 0.5
    first_label: int = 1
    threshold: float | None = None
    low_threshold: float | None = None
    iou_threshold: float | None = None
    tokenizer: Path | None = None
    feature_model: str | None = None
    context_length: int | None = None
    pad_token: str | None = None

    @property
    def ref(self) -> str:
        """The model's name and version; by default the file's name."""
        return f"{self.name or _name_of(self.network)}@{self.version}"


_USUAL_INPUT: dict[DecoderName, tuple[Triple, Triple, Resize]] = {
    "nanodet": ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "plain"),
    "yolox": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "letterbox"),
    "ssd": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "plain"),
}


def add_model(registry: Registry, own: UserModel) -> Manifest:
    """Import a user's own model into the registry's directory and reload the registry.

    If it raises (InvalidModelFileError, InvalidManifestError, or UnknownModelError for a text
    encoder's feature model), it adds nothing.
    """
    if registry.user_dir is None:
        raise InvalidManifestError("there is no directory for a user's own models")
    if own.ref in {manifest.ref for manifest in registry.list()}:
        raise InvalidManifestError(f"{own.ref} exists already")
    paired = None
    if own.kind == "text-encoder":
        paired = pictures_of(registry, own.feature_model)
    elif own.tokenizer or own.feature_model or own.context_length or own.pad_token:
        raise InvalidManifestError("tokens and a feature model belong to --kind text-encoder")
    manifest = import_model(own, registry.user_dir, paired=paired)
    registry.reload()
    return manifest


def import_model(
    own: UserModel,
    user_dir: Path,
    runtime: Runtime | None = None,
    *,
    paired: Manifest | None = None,
) -> Manifest:
    """Copy the model into a directory below `user_dir`, with a manifest; return the manifest.

    `paired` is the feature model of a text encoder.
    Raises InvalidModelFileError if a file cannot be read, the network does not load, or its
    outputs do not fit the decoder or are of no known format; InvalidManifestError if an option is
    out of range, a class is named twice, or the name and version exist already.
    """
    runtime = runtime or Runtime("CPU")
    user_dir.mkdir(parents=True, exist_ok=True)
    own = replace(own, network=_network_file(own.network))
    final = user_dir / own.ref
    if final.exists():
        raise InvalidManifestError(f"{final.name} exists already: choose another version")
    pending = Path(tempfile.mkdtemp(prefix=_PENDING, dir=user_dir))
    try:
        files = _copy_network(own.network, pending)
        if own.kind == "text-encoder":
            described = _describe_text_encoder(own, files, paired, pending)
        else:
            describe = _describe if own.kind == "detect" else _describe_embedding
            described = describe(own, files, runtime, pending)
        try:
            text = _checked(described, final.name, pending, runtime)
        except InvalidModelFileError:
            simpler = _simpler(described)
            if simpler is None:
                raise
            text = _checked(simpler, final.name, pending, runtime)
        (pending / USER_MANIFEST).write_text(text, encoding="utf-8")
        pending.chmod(0o755)
        pending.rename(final)
    finally:
        shutil.rmtree(pending, ignore_errors=True)
    return load_manifest(final / USER_MANIFEST)


def _checked(described: Manifest, name: str, directory: Path, runtime: Runtime) -> str:
    """Return the manifest's TOML, once the model has run by it."""
    text = manifest_toml(described)
    manifest = parse_manifest(text, name, directory)
    if manifest.kind == "feature":
        FeatureExtractor(runtime, manifest).check()
    elif manifest.kind == "text-encoder":
        TextEncoder(manifest).check()
    else:
        Detector(runtime, manifest).check()
    return text


def _simpler(described: Manifest) -> Manifest | None:
    """Return what to try when the model does not run as described; None if nothing is left."""
    if described.input is not None and described.input.shape == "source":
        # Its input takes any size, but its head was exported for one.
        fixed = msgspec.structs.replace(described.input, shape="fixed")
        return msgspec.structs.replace(described, input=fixed)
    if described.kind == "feature" and not described.one_by_one:
        return msgspec.structs.replace(described, one_by_one=True)
    return None


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
    # An option without a value is left out: TOML has no null.
    return [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in table.items()
        if value is not None
    ]


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
        _copy(source, target)
        files.append(model_file(role, target))
    return tuple(files)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as exc:
        raise InvalidModelFileError(f"cannot read {source}: {exc.strerror}") from exc
    if not target.stat().st_size:
        raise InvalidModelFileError(f"{source} is empty")


def model_file(role: str, path: Path) -> ModelFile:
    """Describe a file that lies in a model's directory."""
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return ModelFile(role=role, path=path.name, sha256=sha256, size_bytes=len(content))


def _describe_text_encoder(
    own: UserModel, files: tuple[ModelFile, ...], paired: Manifest | None, directory: Path
) -> Manifest:
    if paired is None:
        raise InvalidManifestError("a text encoder is for one feature model: state which")
    contents = [(directory / file.path).read_bytes() for file in files]
    tokenizer = tokenizer_of(own.network, own.tokenizer)
    _copy(tokenizer, directory / "tokenizer.json")
    found = describe_text(
        own.network,
        *_two(contents),
        tokenizer,
        TextWishes(paired, own.context_length, own.pad_token),
    )
    return Manifest(
        name=own.name or _name_of(own.network),
        version=own.version,
        kind="text-encoder",
        description=own.description
        or f"words that find the pictures of {paired.ref} ({found.output_name})",
        licence=own.licence,
        source=own.source or own.network.name,
        files=(*files, model_file("tokenizer", directory / "tokenizer.json")),
        dimensions=paired.dimensions,
        output=found.output,
        text=found.options,
    )


def _describe_embedding(
    own: UserModel, files: tuple[ModelFile, ...], runtime: Runtime, directory: Path
) -> Manifest:
    contents = [(directory / file.path).read_bytes() for file in files]
    shape = runtime.input_shape(own.network.name, *_two(contents))
    found = recognise_embedding(own.network, *_two(contents))
    given = found.format
    width, height = own.width or given.width, own.height or given.height
    if width is None or height is None:
        raise InvalidModelFileError(f"{own.network.name}: takes any size: state width and height")
    is_stated = own.mean is not None or own.scale is not None or not found.is_assumed
    told = "" if is_stated else "; RGB with ImageNet's mean and scale is assumed"
    return Manifest(
        name=own.name or _name_of(own.network),
        version=own.version,
        kind="feature",
        description=own.description or f"a user's own feature vectors{told}",
        licence=own.licence,
        source=own.source or own.network.name,
        files=files,
        dimensions=found.dimensions,
        output=found.output,
        input=InputOptions(
            width=width,
            height=height,
            layout="NCHW" if shape[1] == 3 else "NHWC",
            channels=own.channels or given.channels,  # type: ignore[arg-type]  # one of the two
            mean=own.mean or given.mean,
            scale=own.scale or given.scale,
            resize="plain",
        ),
    )


def _describe(
    own: UserModel, files: tuple[ModelFile, ...], runtime: Runtime, directory: Path
) -> Manifest:
    contents = [(directory / file.path).read_bytes() for file in files]
    found = runtime.input_shape(own.network.name, *_two(contents))
    if len(found) != 4 or 3 not in (found[1], found[3]):
        raise InvalidModelFileError(f"{own.network}: its input {found} is no image of 3 channels")
    layout: Literal["NCHW", "NHWC"] = "NCHW" if found[1] == 3 else "NHWC"
    height, width = found[2:] if layout == "NCHW" else found[1:3]
    given = _stated(own) if own.decoder is not None else recognise(own.network, *_two(contents))
    if given.doubts and (own.classes is None or (own.decoder is None and _is_unsure(given))):
        raise InvalidModelFileError(f"{own.network.name}: {'; '.join(given.doubts)}")
    mean, scale, resize = given.mean, given.scale, given.resize
    width, height = (given.width or width, given.height or height)
    takes_any = max(width, height) < 1 and (own.resize or resize) == "letterbox"
    width, height = own.width or width, own.height or (own.width if takes_any else None) or height
    if min(width, height) < 1:
        raise InvalidModelFileError(f"{own.network}: takes any size: state width and height")
    grid = max(own.strides)
    follows = takes_any and width == height and width % grid == 0
    threshold = _first(own.threshold, given.threshold, 0.4)
    return Manifest(
        name=own.name or _name_of(own.network),
        version=own.version,
        kind="detect",
        description=own.description or f"a user's own detector ({given.family})",
        licence=own.licence,
        source=own.source or own.network.name,
        files=files,
        classes=_classes(own, given),
        decoder=given.decoder,
        input=InputOptions(
            width=width,
            height=height,
            layout=layout,
            channels=own.channels or given.channels,  # type: ignore[arg-type]  # one of the two
            pad_value=given.pad_value,
            mean=own.mean or mean,
            scale=own.scale or scale,
            resize=own.resize or resize,
            shape="source" if follows else "fixed",
            grid=grid if follows else 32,
        ),
        thresholds=Thresholds(
            threshold=threshold,
            low_threshold=_first(own.low_threshold, min(0.1, threshold)),
            iou_threshold=_first(
                own.iou_threshold, given.iou_threshold, 1.0 if given.end_to_end else 0.6
            ),
        ),
    )


def _stated(own: UserModel) -> Recognised:
    """Return what a person has stated, completed by what is usual for the decoder."""
    decoder = own.decoder or "yolox"
    mean, scale, resize = _USUAL_INPUT[decoder]
    return Recognised(
        family=decoder,
        decoder=_decoder(own),
        channels="BGR",
        mean=mean,
        scale=scale,
        resize=resize,
        doubts=() if own.classes is not None else ("state --classes FILE",),
    )


def _classes(own: UserModel, given: Recognised) -> tuple[str, ...]:
    if own.classes is not None:
        return _read_classes(own.classes)
    return tuple(public_class(name) for name in given.classes)


def _is_unsure(given: Recognised) -> bool:
    """Whether there is a doubt that class names do not settle."""
    return any("--classes" not in doubt for doubt in given.doubts)


def _two(contents: list[bytes]) -> tuple[bytes, bytes]:
    return contents[0], b"".join(contents[1:])


def _first(*numbers: float | None) -> float:
    return next(number for number in numbers if number is not None)


def _network_file(path: Path) -> Path:
    """Return the network in a directory, as Ultralytics exports OpenVINO models, or the file."""
    if not path.is_dir():
        return path
    found = sorted([*path.glob("*.xml"), *path.glob("*.onnx")])
    if len(found) != 1:
        raise InvalidModelFileError(f"{path} has {len(found)} networks: name one of them")
    return found[0]


def _name_of(network: Path) -> str:
    """Return a model's name from its file's: lower case, other signs as hyphens."""
    stem = network.stem.removesuffix("_openvino_model")
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")
    return name[:64] or "model"


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
