"""`python -m api`: the composition root of one api process."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvicorn

from api.app import create_app
from api.http.shutdown import CancelledErrorFilter
from api.server.config import server_config
from api.server.limits import Limits
from api.settings import Settings
from api.tasks.preview_process import require_sandbox
from streamproc.clients.clickhouse import client_factory, client_options
from streamproc.clients.log_throttle import rate_limit_logs
from streamproc.clients.s3 import open_session
from streamproc.contract.setting_error import SettingError
from streamproc.errors import SinkError
from streamproc.sinks.index.consumer import run_index
from streamproc.sinks.settings import IndexSettings

EXIT_USAGE = 2
GRACE_S = 5
_log = structlog.get_logger("framewire.api")


class AnnouncingServer(uvicorn.Server):
    """A uvicorn server that writes its port to a file once it listens."""

    def __init__(self, config: uvicorn.Config, port_file: Path | None) -> None:
        super().__init__(config)
        self._port_file = port_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit or not self.servers:
            return
        port = self.servers[0].sockets[0].getsockname()[1]
        # The objects created from here on are few. A full collection must not visit every
        # library's objects while a thousand readers wait (it took 100 ms and more).
        gc.collect()
        gc.freeze()
        if self._port_file is not None:
            await asyncio.to_thread(_write_whole, self._port_file, f"{port}\n")
        _log.info("serving", host=self.config.host, port=port)


class IndexThread(threading.Thread):
    """The index role in a thread next to the server.

    If the role fails, the process ends: without an index the server would give old answers.
    """

    def __init__(
        self, settings: IndexSettings, connect: Callable[[], Any], server: uvicorn.Server
    ) -> None:
        super().__init__(name="index", daemon=True)
        self.failed = False
        self._settings = settings
        self._connect = connect
        self._server = server
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            run_index(self._settings, self._connect, self._stopping)
        except Exception:  # noqa: BLE001 - top of a thread: otherwise the api would keep running
            _log.exception("the index role failed: the process ends")
            self.failed = True
            self._server.should_exit = True

    def stop(self) -> None:
        """Stop the role. Records that it has not committed are read again at the next start."""
        self._stopping.set()
        self.join(GRACE_S)


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit code 2 means that the settings cannot be used."""
    try:
        settings = Settings.from_environ(os.environ)
        index_settings = _index_settings(os.environ) if settings.index_in_api else None
        configure_logging(settings.log)
        client_options(settings.clickhouse)
        open_session(settings.s3)
        if settings.require_sandbox:
            require_sandbox()
        app = create_app(settings)
        connect = client_factory(settings.clickhouse)
    except (SettingError, SinkError) as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_USAGE
    config = server_config(
        app, Limits.of(settings), host=settings.host, port=settings.port, graceful_s=GRACE_S
    )
    server = AnnouncingServer(config, Path(settings.port_file) if settings.port_file else None)
    # uvicorn raises its signals again after it has stopped: this is not a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    index = IndexThread(index_settings, connect, server) if index_settings is not None else None
    try:
        if index is not None:
            index.start()
        with contextlib.suppress(KeyboardInterrupt):
            server.run()
    finally:
        if index is not None:
            index.stop()
    failed = not server.started or (index is not None and index.failed)
    return 1 if failed else 0


def _index_settings(environ: Mapping[str, str]) -> IndexSettings:
    """Return the settings of the index thread, which writes no ready file: see the port file."""
    return msgspec.structs.replace(IndexSettings.from_environ(environ), ready_file=None)


def configure_logging(level: str) -> None:
    """Log JSON lines to standard error: ours from `level` on, the libraries' from warning on."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(message)s")
    rate_limit_logs()
    logging.getLogger("uvicorn.error").addFilter(CancelledErrorFilter())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _write_whole(path: Path, text: str) -> None:
    """Write the file atomically: a reader never sees a part of it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(path)


if __name__ == "__main__":
    sys.exit(main())
