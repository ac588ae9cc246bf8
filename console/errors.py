"""Errors of the terminal client.

ConsoleError                   exit code 1
├── ApiProblem                 the api answered with problem+json: status, code, detail, errors
├── UnreachableError           exit code 3: no api answers, or none is known
├── ContextError               there is no such context, or its key cannot be had
├── ComparisonError            two tasks cannot be compared
├── DeniedError                exit code 4: a key is missing that the command needs
├── StillRunningError          exit code 6: a task has not ended in the time that was given
├── TaskFailedError            a task ended without success
├── ProgramFailedError         a program that did the command's work ended with an error
├── LogMismatchError           bytes of a stream are not the log's; they are never shown
├── ReadOnlyError              a read-only console was to send a call that changes something
├── RequestWordsError          exit code 2: the command line does not define a valid request
└── StackError                 the embedded stack cannot start or continue
    ├── DirectoryInUseError    another stack holds the data directory
    └── NotInstalledError      a command needs packages that are not installed
"""

from collections.abc import Sequence

from console.exit_codes import ExitCode, of_status
from console.printable import printable


class ConsoleError(Exception):
    """Base of all errors that are shown as one line; `exit_code` is the command's exit code.

    `code` is a stable word for programs, as in an api's problem.
    """

    exit_code = ExitCode.FAILED
    code = "failed"


class ApiProblem(ConsoleError):  # noqa: N818 - RFC 9457's own term
    """The api's problem+json answer to a request that it rejected or could not serve.

    `errors` lists the invalid fields of a 422 as `{"field", "message"}`. The exit code follows the
    status.
    """

    def __init__(
        self, status: int, code: str, detail: str, errors: Sequence[dict[str, str]] = ()
    ) -> None:
        super().__init__(printable(f"{detail or code} ({status} {code})"))
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.exit_code = of_status(status)


class UnreachableError(ConsoleError):
    """No api answers at the URL, or no URL is known. Exit code 3."""

    exit_code = ExitCode.UNAVAILABLE
    code = "unreachable"


class DeniedError(ConsoleError):
    """The command needs a key that is not known. Exit code 4."""

    exit_code = ExitCode.DENIED
    code = "denied"


class StillRunningError(ConsoleError):
    """A task has not ended within the time that was given. Exit code 6."""

    exit_code = ExitCode.TIMED_OUT
    code = "still_running"


class TaskFailedError(ConsoleError):
    """A task ended without success; `code` is the task's error, or its status."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(printable(message))
        self.code = code


class ProgramFailedError(ConsoleError):
    """A program that did the command's work ended with an error; `exit_code` follows its own."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(printable(message))
        self.exit_code = exit_code


class ContextError(ConsoleError):
    """A context of `console.toml` cannot be used: it has no key, or there is no such context."""

    code = "context"


class UnknownContextError(ContextError):
    """`console.toml` has no context of the name that was given. Exit code 2."""

    exit_code = ExitCode.USAGE


class ComparisonError(ConsoleError):
    """Two tasks cannot be compared: one has no whole log, or they exceed a limit."""


class LogMismatchError(ConsoleError):
    """The bytes of a stream do not belong to the requested byte offset of the log."""

    code = "log_mismatch"


class ReadOnlyError(ConsoleError):
    """A read-only console does not send a call that changes something."""


class StackError(ConsoleError):
    """The embedded stack cannot start or continue; the message names the part."""

    code = "stack_failed"


class DirectoryInUseError(StackError):
    """Another stack runs on this data directory."""

    code = "directory_in_use"


class NotInstalledError(StackError):
    """The command needs packages that are not installed here, or another operating system."""

    code = "not_installed"


class RequestWordsError(ConsoleError):
    """The command line does not define a valid request. Exit code 2."""

    exit_code = ExitCode.USAGE
    code = "usage"
