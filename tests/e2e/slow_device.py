"""A worker (`python -m tests.e2e.slow_device worker`) with a slow device.

The device takes a request every `_REQUEST_S` and no processor time meanwhile: a task that only has
to be under way for a while needs few frames for it.
"""

import sys
import threading
import time

from models.runtime import Network, Recipe, Runtime
from streamproc.worker import process
from tests.models import faults

_REQUEST_S = 0.1


def main() -> int:
    one_by_one = threading.Lock()
    compile_of = Runtime._compile

    def wait() -> None:
        with one_by_one:
            time.sleep(_REQUEST_S)

    def compiled(self: Runtime, recipe: Recipe, role: str) -> Network:
        network = compile_of(self, recipe, role)
        faults.hang(network, wait)
        return network

    Runtime._compile = compiled  # type: ignore[method-assign]
    return process.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
