"""`python -m api`: the composition root of one api process."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import tempfile
from pathlib import Path

import structlog
import uvicorn

from api.app import create_app
from api.settings import Settings, SettingsError
from api.store.rows import BadClickhouseUrlError, Rows
from models.errors import ModelError
from streamproc.contract.providers import InvalidProvidersError

EXIT_USAGE = 2
GRACE_S = 5
_log = structlog.get_logger("framewire.api")


class AnnouncingServer(uvicorn.Server):
    """Writes the port that it listens on, once it does."""

    def __init__(self, config: uvicorn.Config, port_file: Path | None) -> None:
        super().__init__(config)
        self._port_file = port_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit or not self.servers:
            return
        port = self.servers[0].sockets[0].getsockname()[1]
        if self._port_file is not None:
            await asyncio.to_thread(_write_whole, self._port_file, f"{port}\n")
        _log.info("serving", host=self.config.host, port=port)


def main() -> int:
    """Serve until SIGTERM or SIGINT; exit code 2: the settings cannot be used."""
    try:
        settings = Settings.from_environ()
        configure_logging(settings.log)
        rows = Rows(settings.clickhouse)
        app = create_app(settings, rows)
    except (SettingsError, BadClickhouseUrlError, InvalidProvidersError, ModelError) as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_USAGE
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = AnnouncingServer(config, Path(settings.port_file) if settings.port_file else None)
    # uvicorn raises its signals again once it has stopped: that is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else 1


def configure_logging(level: str) -> None:
    """Write JSON lines to standard error: ours, and the libraries' from warning on."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(message)s")
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
    """Write the file at once: a reader never sees a part of it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(path)


if __name__ == "__main__":
    sys.exit(main())
