"""What of Framewire is installed: the client alone, or the server and its engines, too."""

import sys
from collections.abc import Iterable
from importlib.util import find_spec

from console.errors import NotInstalledError
from console.stack.plan import EMBEDDED, StackOptions

_SERVER = ("confluent_kafka", "faust", "litestar", "openvino")
_POSIX = ("fcntl", "pwd")


def need_server() -> None:
    """Raise `NotInstalledError` unless the packages of the roles are there."""
    _need("server", _SERVER)


def need_stack(options: StackOptions) -> None:
    """Raise `NotInstalledError` unless a stack of these options can run here."""
    if not all(map(_is_there, _POSIX)):
        raise NotInstalledError("a local stack needs Linux; set FRAMEWIRE_URL to use another's")
    engines = {
        "jgo": options.kafka == EMBEDDED,
        "chdb": options.clickhouse is None,
    }
    # SeaweedFS is a program, and its own part looks for it.
    _need("embedded", [name for name, is_used in engines.items() if is_used])
    need_server()


def _need(extra: str, modules: Iterable[str]) -> None:
    missing = [name for name in modules if not _is_there(name)]
    if missing:
        raise NotInstalledError(
            f"this needs more than the client ({', '.join(missing)}): "
            f"pip install 'framewire[{extra}]'"
        )


def _is_there(module: str) -> bool:
    if module in sys.modules:  # a lazy one, such as Faust, may have no spec any more
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # hidden
        return False
