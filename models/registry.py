"""Model registry: the models that ship with the product, and those of a user's own directory.

Import-light. Defaults: a step with the model `detect`, `ocr` or `feature` uses the shipped model of
that kind.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from models.errors import InvalidManifestError, UnknownModelError
from models.manifest import USER_MANIFEST, Manifest, StepKind, load_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CATALOG = Path(__file__).parent / "catalog"
DEFAULTS: dict[StepKind, str] = {
    "detect": "nanodet-g@1.1.0",
    "ocr": "ppocr@6.1.0",
    "feature": "strip512@1.0.0",
}


_log = structlog.get_logger("framewire.models")


class Registry:
    """Models by name. Models that are added or changed later are found without a restart."""

    def __init__(self, user_dir: Path | None = None) -> None:
        """Read all manifests; raises InvalidManifestError."""
        self.user_dir = user_dir
        self._by_ref: dict[str, Manifest] = {}
        self._stamp: object = None
        self.reload()

    def reload(self) -> None:
        """Read all manifests. Raises InvalidManifestError, also if a ref exists twice.

        If it raises, the models stay as they were. What ships is read once in a process.
        """
        by_ref: dict[str, Manifest] = {}
        shipped = ((path, _read_once(path)) for path in sorted(CATALOG.glob("*.toml")))
        own = ((path, load_manifest(path)) for path in self._user_paths())
        for path, manifest in chain(shipped, own):
            if manifest.ref in by_ref:
                raise InvalidManifestError(f"{path}: duplicate model {manifest.ref}")
            by_ref[manifest.ref] = manifest
        self._by_ref = by_ref
        self._stamp = self._stamp_of_user_dir()

    def refresh(self) -> None:
        """Read the user's models again if any was added, changed or removed; never raises.

        A model whose manifest cannot be read is left out, and logged; the others are used.
        """
        stamp = self._stamp_of_user_dir()
        if stamp == self._stamp:
            return
        by_ref = {m.ref: m for m in self._by_ref.values() if ships(m)}
        for path in self._user_paths():
            try:
                manifest = load_manifest(path)
            except InvalidManifestError as exc:
                _log.warning("model left out", path=str(path), reason=str(exc))
                continue
            if manifest.ref in by_ref:
                _log.warning("model left out", path=str(path), reason="its name exists already")
                continue
            by_ref[manifest.ref] = manifest
        self._by_ref, self._stamp = by_ref, stamp

    def list(self) -> list[Manifest]:
        """All models, sorted by ref."""
        self.refresh()
        return [self._by_ref[ref] for ref in sorted(self._by_ref)]

    def resolve(self, name: str) -> Manifest:
        """Resolve a step's `model`: a kind, `name@version`, or a name (its newest version).

        Raises UnknownModelError, which lists the names of all models that steps can use.
        """
        ref = DEFAULTS.get(name, name)  # type: ignore[call-overload]  # callers may pass any string
        self.refresh()
        if ref in self._by_ref:
            return self._by_ref[ref]
        versions = self.versions(name)
        if not versions:
            of_steps = sorted(m.ref for m in self._by_ref.values() if m.kind in DEFAULTS)
            raise UnknownModelError(name, (*DEFAULTS, *of_steps))
        return versions[-1]

    def versions(self, name: str) -> Sequence[Manifest]:
        """All versions of the models with this name, oldest first."""
        found = [manifest for manifest in self._by_ref.values() if manifest.name == name]
        return sorted(found, key=lambda manifest: _version_key(manifest.version))

    def text_encoders(self) -> Mapping[str, Manifest]:
        """The text encoder of each feature model that has one, by the feature model's ref."""
        return {m.text.feature_model: m for m in reversed(self.list()) if m.text is not None}

    def is_default(self, manifest: Manifest) -> bool:
        """Whether `detect`, `ocr` or `feature` resolves to this model."""
        return manifest.ref in DEFAULTS.values()

    def _stamp_of_user_dir(self) -> tuple[tuple[str, int], ...]:
        """What changes with any of the user's manifests: their paths and times."""
        stamp = []
        for path in self._user_paths():
            try:
                stamp.append((str(path), path.stat().st_mtime_ns))
            except OSError:  # it is being removed
                continue
        return tuple(stamp)

    def _user_paths(self) -> Iterable[Path]:
        if self.user_dir is None or not self.user_dir.is_dir():
            return []
        paths = sorted(self.user_dir.glob(f"*/{USER_MANIFEST}"))
        return [path for path in paths if not path.parent.name.startswith(".")]


_read_once = cache(load_manifest)


def ships(manifest: Manifest) -> bool:
    """Whether the model ships with the product."""
    return manifest.directory.resolve().is_relative_to(CATALOG.parent.resolve())


def _version_key(version: str) -> tuple[tuple[int, str], ...]:
    """Sort key of versions. Numeric parts compare as numbers: 1.10 is newer than 1.9."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in version.split("."))
