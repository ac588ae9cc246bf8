"""Self-test of the decoder sandbox on this host, with a child that decodes nothing.

`python -m streamproc sandbox` prints the result; exit code 1: a required part is missing.
"""

import sys

import structlog

from streamproc.contract import env
from streamproc.contract.sandbox import Sandbox
from streamproc.source.errors import DecoderCrashedError
from streamproc.source.sandbox.decoder_client import probe_sandbox

_log = structlog.get_logger()


class SandboxMissingError(Exception):
    """A required part of the sandbox is missing while `FRAMEWIRE_REQUIRE_SANDBOX` is set."""


def probed_sandbox(*, require: bool) -> Sandbox | None:
    """Log and return the sandbox of decoders on this host; None when no decoder starts.

    Raises `SandboxMissingError` if `require` is set and a required part is missing, or no decoder
    starts.
    """
    try:
        sandbox = probe_sandbox()
    except DecoderCrashedError as exc:
        if require:
            raise SandboxMissingError(f"{env.REQUIRE_SANDBOX} is 1, and {exc}") from exc
        _log.warning("the decoder's sandbox could not be checked", reason=str(exc))
        return None
    if require and not sandbox.suffices:
        raise SandboxMissingError(
            f"{env.REQUIRE_SANDBOX} is 1, and the decoder's sandbox is {sandbox} on this host"
        )
    tell = _log.info if sandbox.suffices else _log.warning
    tell("decoders are sandboxed", sandbox=sandbox.level, missing=", ".join(sandbox.missing) or "-")
    return sandbox


def main(_: list[str]) -> int:
    """Print the sandbox's state, for example `partial (without network_namespace)`."""
    try:
        sandbox = probe_sandbox()
    except DecoderCrashedError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(f"{sandbox}\n")
    return 0 if sandbox.suffices else 1
