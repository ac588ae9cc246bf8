"""Discovery of the api: environment variables, else the running local stack."""

from collections.abc import Mapping
from pathlib import Path

from console.client.endpoint import Endpoint
from console.config.contexts import endpoint_named
from console.config.reader import config_path, read_config
from console.errors import UnreachableError
from console.stack.data_directory import DataDirectory, default_data_dir
from streamproc.contract import env


def discover(environ: Mapping[str, str]) -> Endpoint:
    """Return the api to use: `FRAMEWIRE_CONTEXT`, `FRAMEWIRE_URL` and `_KEY`, or the local stack.

    Raises `UnreachableError` if there is none of them, and `ContextError`.
    """
    if name := environ.get(env.CONTEXT):
        contexts = read_config(config_path(environ)).contexts
        return endpoint_named(name, contexts, environ)
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
