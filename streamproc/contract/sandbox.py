"""Names of the decoder sandbox's parts, and its overall level of isolation."""

from typing import Final, Literal

import msgspec

SECCOMP: Final = "seccomp"
"""Allow list of system calls: no new file, socket, process or executable memory."""
LANDLOCK: Final = "landlock"
"""No file system, no TCP, no signal to and no abstract socket outside of the decoder."""
CAPABILITIES: Final = "capabilities"
"""No capability is left in any set, and exec cannot restore one."""
NETWORK_NAMESPACE: Final = "network_namespace"
"""A separate, empty network namespace. Hosts and containers often refuse it."""

PARTS: Final = (SECCOMP, LANDLOCK, CAPABILITIES, NETWORK_NAMESPACE)
REQUIRED: Final = (SECCOMP, LANDLOCK, CAPABILITIES)
"""Parts that `FRAMEWIRE_REQUIRE_SANDBOX` requires: without a network namespace, seccomp still
refuses every socket."""

Level = Literal["full", "partial", "none"]


class Sandbox(msgspec.Struct, frozen=True):
    """Sandbox of a process's decoders; `missing`: the entries of `PARTS` that this host refused."""

    missing: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """Level of isolation; `none`: both parts that block file access are missing."""
        if not self.missing:
            return "full"
        return "none" if {SECCOMP, LANDLOCK} <= set(self.missing) else "partial"

    @property
    def suffices(self) -> bool:
        """Whether all required parts are active."""
        return not set(REQUIRED) & set(self.missing)

    def __str__(self) -> str:
        """Format as in `partial (without network_namespace)`."""
        return f"{self.level} (without {', '.join(self.missing)})" if self.missing else "full"
