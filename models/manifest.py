"""Model manifest (TOML): files, licence, classes, input and decoder of a model.

Import-light (stdlib and msgspec), so that the API and the command line can list and check models
without loading them. A manifest is one TOML file. The model's files are in the same directory or
below it; `[[files]]` names them, with their sha256.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from models.errors import InvalidManifestError, InvalidModelFileError
from models.sizes import InputFit

USER_MANIFEST = "manifest.toml"


StepKind: TypeAlias = Literal["detect", "ocr", "feature"]
Kind: TypeAlias = StepKind | Literal["text-encoder"]
"""A text encoder is no step: it makes the vectors of words, for `like_text`."""
Resize: TypeAlias = Literal["plain", "letterbox"]
Fraction: TypeAlias = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Sha256: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Version: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$")]
Ref: TypeAlias = Annotated[
    str,
    msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}@[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$"),
]
MAX_CONTEXT = 1024
"""Longest input of a text encoder in tokens; that of CLIP is 77, of SigLIP 64."""


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class ModelFile(_Struct, frozen=True):
    """One file of a model. `path` is relative to the manifest's directory."""

    role: str
    path: str
    sha256: Sha256
    size_bytes: Annotated[int, msgspec.Meta(ge=1)]


class InputOptions(_Struct, frozen=True):
    """Preprocessing: (pixel - mean) / scale, with `mean` and `scale` in the network's channels.

    `shape = "source"`: the network takes inputs of any size whose sides are multiples of `grid`,
    and gets the letterboxed size of the source's frames, rounded up to it.
    """

    width: Annotated[int, msgspec.Meta(ge=1, le=8192)]
    height: Annotated[int, msgspec.Meta(ge=1, le=8192)]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    channels: Literal["BGR", "RGB"] = "BGR"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: Resize = "plain"
    pad_value: Annotated[int, msgspec.Meta(ge=0, le=255)] = 114
    shape: Literal["fixed", "source"] = "fixed"
    grid: Annotated[int, msgspec.Meta(ge=1, le=256)] = 32

    @property
    def fit(self) -> InputFit:
        """How frames are scaled to the input."""
        grid = self.grid if self.shape == "source" else 0
        letterbox = self.resize == "letterbox"
        return InputFit(self.width, self.height, letterbox, grid, self.pad_value)


class NanodetOptions(_Struct, frozen=True, tag="nanodet", tag_field="name"):
    """Anchor-free head with distances as distributions (DFL) over `bins` steps per side.

    `centre` is an anchor's position in its cell: .5 for NanoDet and NanoDet-g, 0 for NanoDet-Plus.
    """

    strides: tuple[int, ...] = (8, 16, 32)
    centre: Fraction = 0.5


class YoloxOptions(_Struct, frozen=True, tag="yolox", tag_field="name"):
    """Rows of x, y, log w, log h on a grid, objectness, class scores (undecoded export)."""

    strides: tuple[int, ...] = (8, 16, 32)


class SsdOptions(_Struct, frozen=True, tag="ssd", tag_field="name"):
    """DetectionOutput rows [image, label, score, left, top, right, bottom], corners in 0..1.

    `first_label` is the label of the first class: 1 if 0 means background.
    """

    first_label: Annotated[int, msgspec.Meta(ge=0)] = 1


class BoxesOptions(_Struct, frozen=True, tag="boxes", tag_field="name"):
    """Outputs with decoded boxes, of whatever export: which output or column holds what.

    Boxes are in the columns `box` to `box + 3` of the rows of `boxes_output` (`columns`: it is
    transposed), in the given order, in network pixels or `relative` to its size. With a label
    (an output, or the column `label`) each row has one score (likewise); labels count from
    `first_label`. Otherwise each row has a score for every class: from the column `classes` on,
    or in `scores_output`, after `activation`, times the column `objectness`; `background`: one more
    column follows.
    """

    boxes_output: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0
    columns: bool = False
    box: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 0
    order: Literal["ltrb", "tlbr", "cxcywh"] = "ltrb"
    relative: bool = False
    scores_output: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = None
    labels_output: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = None
    score: Annotated[int, msgspec.Meta(ge=0, le=4096)] | None = None
    label: Annotated[int, msgspec.Meta(ge=0, le=4096)] | None = None
    first_label: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    classes: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 4
    objectness: Annotated[int, msgspec.Meta(ge=0, le=4096)] | None = None
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    background: bool = False


Decoder: TypeAlias = NanodetOptions | YoloxOptions | SsdOptions | BoxesOptions


class Thresholds(_Struct, frozen=True):
    """Default thresholds of a detect or ocr step's parameters."""

    threshold: Fraction = 0.4
    low_threshold: Fraction = 0.1
    iou_threshold: Fraction = 0.6


class TextOptions(_Struct, frozen=True):
    """Input of a text encoder: `context_length` token ids, cut or filled up with `pad_id`.

    `feature_model` is the feature model whose pictures its vectors find: vectors of other models
    are never compared with them.
    """

    feature_model: Ref
    context_length: Annotated[int, msgspec.Meta(ge=1, le=MAX_CONTEXT)]
    pad_id: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0


class Manifest(_Struct, frozen=True):
    """One model. `directory` contains its files, and is not part of the TOML.

    `reads_turned`: an ocr model reads lines of which it is not sure a second time, upside down.
    `reads_columns`: it joins letters that stand under each other (`models.text_columns`).
    `output`: the one of a feature network's or text encoder's outputs that is the vector;
    `one_by_one`: it takes one picture at a time. `text`: the input of a text encoder.
    """

    name: Name
    version: Version
    kind: Kind
    description: str
    licence: str
    source: str
    files: Annotated[tuple[ModelFile, ...], msgspec.Meta(min_length=1)]
    input: InputOptions | None = None
    decoder: Decoder | None = None
    classes: tuple[str, ...] = ()
    thresholds: Thresholds = Thresholds()
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    reads_turned: bool = False
    reads_columns: bool = False
    output: Annotated[int, msgspec.Meta(ge=0, le=63)] = 0
    one_by_one: bool = False
    text: TextOptions | None = None
    directory: Path = Path()

    @property
    def ref(self) -> str:
        """`name@version`: the model's name in a step's `model` and in a chunk's provider."""
        return f"{self.name}@{self.version}"

    def has_file(self, role: str) -> bool:
        return any(file.role == role for file in self.files)

    def file(self, role: str) -> ModelFile:
        for file in self.files:
            if file.role == role:
                return file
        raise InvalidManifestError(f"{self.ref}: no file has the role {role!r}")

    def read_file(self, role: str) -> bytes:
        """Read a file and verify its sha256.

        The hashed bytes are the returned ones, so the file cannot change between check and use.
        Raises InvalidModelFileError if it is missing or its sha256 differs from the manifest's.
        """
        file = self.file(role)
        path = self.directory / file.path
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise InvalidModelFileError(f"{self.ref}: cannot read {path}: {exc.strerror}") from exc
        found = hashlib.sha256(content).hexdigest()
        if found != file.sha256:
            raise InvalidModelFileError(
                f"{self.ref}: {path} was changed: sha256 is {found}, "
                f"its manifest says {file.sha256}"
            )
        return content


def load_manifest(path: Path) -> Manifest:
    """Read one manifest. Raises InvalidManifestError, naming the file and the field."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidManifestError(f"{path}: {exc}") from exc
    return parse_manifest(text, str(path), path.parent)


def parse_manifest(text: str, origin: str, directory: Path) -> Manifest:
    """Parse a manifest's TOML; `origin` names it in errors, its files are below `directory`.

    The key `files_from` is a directory relative to `directory`, for manifests that share files.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise InvalidManifestError(f"{origin}: {exc}") from exc
    files_from = table.pop("files_from", ".")
    if not isinstance(files_from, str) or "directory" in table:
        raise InvalidManifestError(f"{origin}: `files_from` is a string, `directory` is not a key")
    try:
        manifest = msgspec.convert(table, Manifest, strict=True)
    except msgspec.ValidationError as exc:
        raise InvalidManifestError(f"{origin}: {exc}") from exc
    _check(manifest, origin)
    return msgspec.structs.replace(manifest, directory=directory / files_from)


def _check(manifest: Manifest, origin: str) -> None:
    if manifest.kind == "detect" and not (manifest.decoder and manifest.input and manifest.classes):
        raise InvalidManifestError(
            f"{origin}: a detect model needs `decoder`, `input` and `classes`"
        )
    if manifest.kind == "feature" and not (manifest.input and manifest.dimensions):
        raise InvalidManifestError(f"{origin}: a feature model needs `input` and `dimensions`")
    if manifest.kind == "text-encoder" and not (manifest.text and manifest.dimensions):
        raise InvalidManifestError(f"{origin}: a text encoder needs `text` and `dimensions`")
    if len(set(manifest.classes)) != len(manifest.classes):
        raise InvalidManifestError(f"{origin}: `classes` names one class twice")
    if manifest.thresholds.low_threshold > manifest.thresholds.threshold:
        raise InvalidManifestError(f"{origin}: `low_threshold` is above `threshold`")
    if manifest.input is not None and 0.0 in manifest.input.scale:
        raise InvalidManifestError(f"{origin}: `input.scale` must not be 0")
    if manifest.input is not None and manifest.input.shape == "source":
        _check_shape(manifest.input, origin)
    for file in manifest.files:
        if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
            raise InvalidManifestError(f"{origin}: {file.path!r} leaves the model's directory")


def _check_shape(options: InputOptions, origin: str) -> None:
    if options.resize != "letterbox":
        raise InvalidManifestError(f'{origin}: `input.shape = "source"` needs resize = "letterbox"')
    if options.width % options.grid or options.height % options.grid:
        raise InvalidManifestError(f"{origin}: `input.width` and `height` are multiples of `grid`")
