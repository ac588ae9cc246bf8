"""Where the api is: named by the environment, else the running local stack."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An api and the keys for it. `file_roots` are what a local stack may read by file://.

    `project` is known of a local stack; of another api, `/v1/system` tells it.
    """

    url: str
    key: str = field(repr=False)
    admin_key: str | None = field(default=None, repr=False)
    file_roots: tuple[Path, ...] = ()
    project: str | None = None
