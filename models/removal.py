"""Removal of a user's own model, as `framewire models remove` does."""

from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory

from models.errors import InvalidModelFileError, RemovalRefusedError, UnknownModelError
from models.manifest import Manifest
from models.registry import Registry, ships

_REMOVED = ".removed-"


def removable_model(registry: Registry, name: str) -> Manifest:
    """Return the user's model with this `name@version`, or the only one with this name.

    Raises UnknownModelError, or RemovalRefusedError if it ships with the product, if there are
    several versions, or if a text encoder needs it.
    """
    named = [m for m in registry.list() if name in {m.ref, m.name}]
    own = [manifest for manifest in named if not ships(manifest)]
    if not named:
        users = [manifest.ref for manifest in registry.list() if not ships(manifest)]
        names = [*users, *(ref.partition("@")[0] for ref in users)]
        raise UnknownModelError(name, users, next(iter(get_close_matches(name, names, 1)), None))
    if not own:
        raise RemovalRefusedError(f"{named[0].ref} ships with the product: it cannot be removed")
    if len(own) > 1:
        listed = ", ".join(manifest.ref for manifest in own)
        raise RemovalRefusedError(f"{name} has several versions: name one of {listed}")
    (manifest,) = own
    encoder = registry.text_encoders().get(manifest.ref)
    if encoder is not None:
        raise RemovalRefusedError(f"{encoder.ref} is its text encoder: remove that one first")
    return manifest


def remove_model(registry: Registry, name: str) -> Manifest:
    """Remove a user's model and its files; raises as `removable_model`, or InvalidModelFileError.

    At once for every process that lists models. One that has it loaded keeps it in memory.
    """
    manifest = removable_model(registry, name)
    directory = manifest.directory
    try:
        # The model is gone in one step: nobody finds a manifest without its files.
        with TemporaryDirectory(
            prefix=_REMOVED, dir=directory.parent, ignore_cleanup_errors=True
        ) as hidden:
            directory.rename(Path(hidden, directory.name))
    except OSError as exc:
        raise InvalidModelFileError(f"cannot remove {directory}: {exc.strerror}") from exc
    registry.refresh()
    return manifest
