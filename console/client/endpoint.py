"""Endpoint of the api: its URL and keys, from the environment or the running local stack."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An api and its keys. `file_roots` are the directories that a local stack may read (file://).

    `project` is known for a local stack; for another api, `/v1/system` reports it.
    """

    url: str
    key: str = field(repr=False)
    admin_key: str | None = field(default=None, repr=False)
    file_roots: tuple[Path, ...] = ()
    project: str | None = None
