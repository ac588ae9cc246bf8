"""Logging of the stream processor's roles: structlog to standard error, for people."""

import logging
import sys

import structlog

from streamproc.clients.log_throttle import rate_limit_logs


def configure_logging(level: str) -> None:
    """Set up human-readable logs: ours from `level` on, the libraries' from warning on.

    Tracebacks show no variables, unlike the default: they may hold an address or a key.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    rate_limit_logs()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
    )
