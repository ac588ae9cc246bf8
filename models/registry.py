"""Model registry: the models that ship with the product, and those of a user's own directory.

Import-light. Defaults: a step with the model `detect`, `ocr` or `feature` uses the shipped model of
that kind.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import InvalidManifestError, UnknownModelError
from models.manifest import USER_MANIFEST, Kind, Manifest, load_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

CATALOG = Path(__file__).parent / "catalog"
DEFAULTS: dict[Kind, str] = {
    "detect": "nanodet-g@1.1.0",
    "ocr": "ppocr@6.0.0",
    "feature": "strip512@1.0.0",
}


class Registry:
    """Models by name. The constructor reads the manifests; `reload` reads them again."""

    def __init__(self, user_dir: Path | None = None) -> None:
        self.user_dir = user_dir
        self._by_ref: dict[str, Manifest] = {}
        self.reload()

    def reload(self) -> None:
        """Read all manifests. Raises InvalidManifestError, also if a ref exists twice.

        If it raises, the models stay as they were.
        """
        by_ref: dict[str, Manifest] = {}
        for path in [*sorted(CATALOG.glob("*.toml")), *self._user_paths()]:
            manifest = load_manifest(path)
            if manifest.ref in by_ref:
                raise InvalidManifestError(f"{path}: duplicate model {manifest.ref}")
            by_ref[manifest.ref] = manifest
        self._by_ref = by_ref

    def list(self) -> list[Manifest]:
        """All models, sorted by ref."""
        return [self._by_ref[ref] for ref in sorted(self._by_ref)]

    def resolve(self, name: str) -> Manifest:
        """Resolve a step's `model`: a kind, `name@version`, or a name (its newest version).

        Raises UnknownModelError, which lists every valid name.
        """
        ref = DEFAULTS.get(name, name)  # type: ignore[call-overload]  # callers may pass any string
        if ref in self._by_ref:
            return self._by_ref[ref]
        versions = [manifest for manifest in self._by_ref.values() if manifest.name == name]
        if not versions:
            raise UnknownModelError(name, (*DEFAULTS, *sorted(self._by_ref)))
        return max(versions, key=lambda manifest: _version_key(manifest.version))

    def is_default(self, manifest: Manifest) -> bool:
        """Whether `detect`, `ocr` or `feature` resolves to this model."""
        return DEFAULTS[manifest.kind] == manifest.ref

    def _user_paths(self) -> Iterable[Path]:
        if self.user_dir is None or not self.user_dir.is_dir():
            return []
        paths = sorted(self.user_dir.glob(f"*/{USER_MANIFEST}"))
        return [path for path in paths if not path.parent.name.startswith(".")]


def _version_key(version: str) -> tuple[tuple[int, str], ...]:
    """Sort key of versions. Numeric parts compare as numbers: 1.10 is newer than 1.9."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in version.split("."))
