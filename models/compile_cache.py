"""Compile cache: compiled networks on disk, which a GPU or NPU takes long to make.

OpenVINO writes and reads the files and names them after the network, device, driver and version.
Whatever is wrong with the cache (no space, no permission, damaged files, another process that holds
it for too long), a network is then compiled without it.
"""

import fcntl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import openvino as ov
import structlog

from models.errors import reason_of

MAX_BYTES = 2 * 2**30
"""After each compilation, the files that were unused for longest are deleted down to this size."""
_BLOBS = "*.blob"
_LOCK = ".lock"
_WAIT_S = 60.0
_POLL_S = 0.05

_log = structlog.get_logger("framewire.models")


class CacheUnusableError(Exception):
    """The cache cannot be used now."""


class CompileCache:
    """A directory of compiled networks, shared by the processes of a machine; thread-safe.

    One process at a time compiles with it, so that no one reads a file that is half written. The
    directory must be writable for trusted users only: its files are executed.
    """

    def __init__(
        self, directory: Path, max_bytes: int = MAX_BYTES, wait_s: float = _WAIT_S
    ) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._wait_s = wait_s

    def compile(
        self, core: ov.Core, model: ov.Model, device: str, properties: Mapping[str, Any]
    ) -> ov.CompiledModel:
        """Like `Core.compile_model`, from the cache if it has the network.

        Raises RuntimeError if the network cannot be compiled without the cache either.
        """
        try:
            _name_outputs(model)
            with self._held():
                cached = {**properties, "CACHE_DIR": str(self.directory)}
                compiled = core.compile_model(model, device, cached)
                self._prune()
                return compiled
        except (CacheUnusableError, OSError, RuntimeError) as exc:
            _log.warning("a network is compiled without the cache", reason=reason_of(exc))
        return core.compile_model(model, device, dict(properties))

    def clear(self) -> None:
        """Delete all compiled networks: one of them may be damaged. Never raises."""
        with suppress(OSError):
            for path in self.directory.glob(_BLOBS):
                path.unlink(missing_ok=True)

    def _prune(self) -> None:
        blobs = [(path.stat(), path) for path in self.directory.glob(_BLOBS)]
        excess = sum(stat.st_size for stat, _ in blobs) - self._max_bytes
        for stat, path in sorted(blobs, key=lambda blob: max(blob[0].st_atime, blob[0].st_mtime)):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= stat.st_size

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline_s = time.monotonic() + self._wait_s
        with (self.directory / _LOCK).open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > deadline_s:
                        raise CacheUnusableError("another process holds it") from None
                    time.sleep(_POLL_S)
                else:
                    break
            yield


def _name_outputs(model: ov.Model) -> None:
    """Name the outputs by their order.

    OpenVINO numbers them by what the process has loaded before, and names files after them too.
    """
    for index, output in enumerate(model.outputs):
        output.get_tensor().set_names({f"output_{index}"})
