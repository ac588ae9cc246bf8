"""Child process that renders previews: `python -m streamproc frame`, one order at a time."""

import subprocess

import msgspec

from api.tasks.line_child import LineChild, child_environment, module_command
from streamproc.contract import env
from streamproc.contract.preview import FrameAnswer, FrameOrder
from streamproc.contract.setting_error import SettingError

_PROBE_S = 60
_INHERITED = (
    *(env.FILE_ROOTS, env.PRIVATE_HOSTS, env.SOURCE_PORTS, env.MAX_SOURCE_BYTES),
    *(env.OPEN_TIMEOUT_S, env.MIN_SOURCE_RATE, env.MIN_FREE_BYTES, env.REQUIRE_SANDBOX),
    env.S3_CA_BUNDLE,
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)


class FrameChild(LineChild):
    """A child that makes pictures of frames."""

    def __init__(self) -> None:
        super().__init__(_command("frame"), _environment())

    async def answer(self, order: FrameOrder) -> tuple[FrameAnswer, bytes]:
        """Send an order and return the child's answer. After any exception, call `end`."""
        line = await self.ask(msgspec.json.encode(order))
        answer = msgspec.json.decode(line, type=FrameAnswer)
        return answer, await self.read(answer.size_bytes)


def require_sandbox() -> None:
    """Test a decoder's sandbox on this host; raises SettingError if a required part is missing.

    Blocks for about a second.
    """
    said = f"{env.REQUIRE_SANDBOX} is 1, and the decoder's sandbox on this host is"
    try:
        done = subprocess.run(
            _command("sandbox"),
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=_PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise SettingError(f"{said} not known: no decoder started") from exc
    if done.returncode:
        found = (done.stdout or done.stderr).strip().splitlines()
        raise SettingError(f"{said} {found[-1] if found else 'not known'}")


def _command(role: str) -> list[str]:
    return module_command("streamproc", role)


def _environment() -> dict[str, str]:
    return child_environment(_INHERITED)
