"""A worker (`python -m tests.e2e.faulty_device worker`) whose device can be made to fail.

While the file that `FAULT_VARIABLE` names has the word `zero`, all results are zeros; while it has
`hang`, requests do not end. The canary's reference stays right. The device is slow: it takes a
request every `_REQUEST_S`, and no processor time meanwhile.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.runtime import Network, Recipe, Runtime
from streamproc.providers.model_cache import ModelCache
from streamproc.worker import process
from streamproc.worker.device_watch import DeviceWatch
from tests.models import faults

FAULT_VARIABLE = "TEST_DEVICE_FAULT"
_REQUEST_S = 0.1


def main() -> int:
    file = Path(os.environ[FAULT_VARIABLE])
    right: list[Runtime] = []
    one_by_one = threading.Lock()
    reference_of, compile_of = ModelCache._reference, Runtime._compile

    def fault() -> str:
        return file.read_text() if file.exists() else ""

    def change(outputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        return [np.zeros_like(one) for one in outputs] if fault() == "zero" else list(outputs)

    def wait() -> None:
        while fault() == "hang":
            time.sleep(0.02)
        with one_by_one:
            time.sleep(_REQUEST_S)

    def reference(self: ModelCache) -> Runtime:
        right.append(reference_of(self))
        return right[-1]

    def compiled(self: Runtime, recipe: Recipe, role: str) -> Network:
        network = compile_of(self, recipe, role)
        if all(self is not one for one in right):
            faults.plant(network, change)
            faults.hang(network, wait)
        return network

    ModelCache._reference = reference  # type: ignore[method-assign]
    Runtime._compile = compiled  # type: ignore[method-assign]
    defaults = DeviceWatch.__init__.__kwdefaults__
    assert defaults is not None
    defaults.update(every_s=1.0, hangs_s=10.0)
    return process.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
