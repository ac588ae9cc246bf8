"""Errors of the terminal client.

ConsoleError                   exit code 1
├── ApiProblem                 the api answered with problem+json: status, code, detail, errors
├── UnreachableError           exit code 3: no api answers, or none is known
├── LogMismatchError           bytes of a stream are not the log's: never shown as if they were
└── StackError                 the embedded stack cannot start or go on
    └── DirectoryInUseError    another stack holds the data directory
"""

from collections.abc import Sequence

from console.printable import printable


class ConsoleError(Exception):
    """Base of all errors that the terminal shows as one line; `exit_code` is the command's."""

    exit_code = 1


class ApiProblem(ConsoleError):  # noqa: N818 - RFC 9457's own word
    """The api's answer to a request that it refused or could not serve.

    `errors` names the wrong fields of a 422 as `{"field", "message"}`.
    """

    def __init__(
        self, status: int, code: str, detail: str, errors: Sequence[dict[str, str]] = ()
    ) -> None:
        super().__init__(printable(f"{detail or code} ({status} {code})"))
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)


class UnreachableError(ConsoleError):
    """No api answers at the URL, or no URL is known."""

    exit_code = 3


class LogMismatchError(ConsoleError):
    """What a stream sent does not stand at the byte offset it was asked for."""


class StackError(ConsoleError):
    """The embedded stack cannot start or go on; the message says which part."""


class DirectoryInUseError(StackError):
    """Another stack runs on this data directory."""


class RequestWordsError(ConsoleError):
    """The words of the command line do not make a request; exit code 2."""

    exit_code = 2
