"""Exit codes of `framewire`: defined here, shown by `framewire --help` and docs/cli.md."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit code of a command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    DENIED = 4
    NOT_FOUND = 5
    TIMED_OUT = 6
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """Return the code's line in the help."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed: a task did not succeed, or something could not be done",
    ExitCode.USAGE: "usage: the command line, or the request that it describes, is not valid",
    ExitCode.UNAVAILABLE: "unavailable: no api is known, or it cannot answer now; try again later",
    ExitCode.DENIED: "denied: the key is missing or unknown, or may not do this",
    ExitCode.NOT_FOUND: "not found: there is no such task, key or project",
    ExitCode.TIMED_OUT: "timed out: what --timeout waited for has not happened yet",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}

_BY_STATUS = {
    400: ExitCode.USAGE,
    401: ExitCode.DENIED,
    403: ExitCode.DENIED,
    404: ExitCode.NOT_FOUND,
    410: ExitCode.NOT_FOUND,
    413: ExitCode.USAGE,
    415: ExitCode.USAGE,
    416: ExitCode.USAGE,
    422: ExitCode.USAGE,
    429: ExitCode.UNAVAILABLE,
    502: ExitCode.UNAVAILABLE,
    503: ExitCode.UNAVAILABLE,
    504: ExitCode.UNAVAILABLE,
}


def of_status(status: int) -> ExitCode:
    """Return the exit code for an HTTP status of 300 or more."""
    return _BY_STATUS.get(status, ExitCode.FAILED)


def of_process(returncode: int) -> ExitCode:
    """Return the exit code for the end of a child that did the command's work.

    Our own programs end with 0, 1 or 2; anything else (a signal is negative) is a failure.
    """
    if returncode in {ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE}:
        return ExitCode(returncode)
    return ExitCode.FAILED
