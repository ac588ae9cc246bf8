"""Where the api is: named by the environment, else the running local stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from console.errors import UnreachableError
from console.local.state import DataDirectory, default_data_dir
from streamproc.contract import env


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


def discover(environ: Mapping[str, str]) -> Endpoint:
    """Return the api to speak to: `FRAMEWIRE_URL` and `FRAMEWIRE_KEY`, else the local stack.

    Raises `UnreachableError` when neither is there.
    """
    url, key = environ.get(env.URL), environ.get(env.KEY)
    admin_key = environ.get(env.ADMIN_KEY)
    local = DataDirectory(default_data_dir(environ)).running()
    if url and (local is None or url.rstrip("/") != local.url):
        return Endpoint(url.rstrip("/"), key or "", admin_key)
    if local is None:
        raise UnreachableError(
            "no api is known: start one with `framewire up`, or set FRAMEWIRE_URL and FRAMEWIRE_KEY"
        )
    own_key = key is None or key == local.key
    return Endpoint(
        local.url,
        key or local.key,
        admin_key or local.admin_key,
        tuple(Path(root) for root in local.file_roots),
        local.project if own_key else None,
    )
