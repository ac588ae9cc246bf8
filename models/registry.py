"""Which models there are: those that ship with the product, and a user's own directory.

Import-light. Defaults: a step that says `detect`, `ocr` or `feature` gets the shipped model of that
kind.
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
    "detect": "nanodet-g@1.0.0",
    "ocr": "ppocr@4.6.0",
    "feature": "strip512@1.0.0",
}


class Registry:
    """Models by name. Manifests are read at construction, and again by `reload`."""

    def __init__(self, user_dir: Path | None = None) -> None:
        self.user_dir = user_dir
        self._by_ref: dict[str, Manifest] = {}
        self.reload()

    def reload(self) -> None:
        """Read all manifests. Raises InvalidManifestError, also for one ref that exists twice."""
        by_ref: dict[str, Manifest] = {}
        for path in [*sorted(CATALOG.glob("*.toml")), *self._user_paths()]:
            manifest = load_manifest(path)
            if manifest.ref in by_ref:
                raise InvalidManifestError(f"{path}: there is another {manifest.ref}")
            by_ref[manifest.ref] = manifest
        self._by_ref = by_ref

    def list(self) -> list[Manifest]:
        """All models, by ref."""
        return [self._by_ref[ref] for ref in sorted(self._by_ref)]

    def resolve(self, name: str) -> Manifest:
        """The model that a step's `model` means: a kind, `name@version`, or a name (the newest).

        Raises UnknownModelError, which lists every name that works.
        """
        ref = DEFAULTS.get(name, name)  # type: ignore[call-overload]  # any string may be asked for
        if ref in self._by_ref:
            return self._by_ref[ref]
        versions = [manifest for manifest in self._by_ref.values() if manifest.name == name]
        if not versions:
            raise UnknownModelError(name, (*DEFAULTS, *sorted(self._by_ref)))
        return max(versions, key=lambda manifest: _version_key(manifest.version))

    def is_default(self, manifest: Manifest) -> bool:
        """Whether `detect`, `ocr` or `feature` means this model."""
        return DEFAULTS[manifest.kind] == manifest.ref

    def _user_paths(self) -> Iterable[Path]:
        if self.user_dir is None or not self.user_dir.is_dir():
            return []
        paths = sorted(self.user_dir.glob(f"*/{USER_MANIFEST}"))
        return [path for path in paths if not path.parent.name.startswith(".")]


def _version_key(version: str) -> tuple[tuple[int, str], ...]:
    """Numeric parts compare as numbers: 1.10 is newer than 1.9."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in version.split("."))
