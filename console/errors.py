"""Errors of the terminal client.

ConsoleError                   exit code 1
├── ApiProblem                 the api answered with problem+json: status, code, detail, errors
├── UnreachableError           exit code 3: no api answers, or none is known
├── LogMismatchError           bytes of a stream are not the log's; they are never shown
├── ReadOnlyError              a read-only console was to send a call that changes something
├── RequestWordsError          exit code 2: the command line does not define a valid request
└── StackError                 the embedded stack cannot start or continue
    └── DirectoryInUseError    another stack holds the data directory
"""

from collections.abc import Sequence

from console.printable import printable


class ConsoleError(Exception):
    """Base of all errors that are shown as one line; `exit_code` is the command's exit code."""

    exit_code = 1


class ApiProblem(ConsoleError):  # noqa: N818 - RFC 9457's own term
    """The api's problem+json answer to a request that it rejected or could not serve.

    `errors` lists the invalid fields of a 422 as `{"field", "message"}`.
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
    """No api answers at the URL, or no URL is known. Exit code 3."""

    exit_code = 3


class LogMismatchError(ConsoleError):
    """The bytes of a stream do not belong to the requested byte offset of the log."""


class ReadOnlyError(ConsoleError):
    """A read-only console does not send a call that changes something."""


class StackError(ConsoleError):
    """The embedded stack cannot start or continue; the message names the part."""


class DirectoryInUseError(StackError):
    """Another stack runs on this data directory."""


class RequestWordsError(ConsoleError):
    """The command line does not define a valid request. Exit code 2."""

    exit_code = 2
