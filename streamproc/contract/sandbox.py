"""What holds a decoder, by name, and what may be said about it as a whole."""

from typing import Final, Literal

import msgspec

SECCOMP: Final = "seccomp"
"""An allow list of system calls: no file, socket, process or memory to execute can be made."""
LANDLOCK: Final = "landlock"
"""No file system, no TCP, no signal and no abstract socket outside of the decoder."""
CAPABILITIES: Final = "capabilities"
"""No capability is left, in no set, and exec can bring none back."""
NETWORK_NAMESPACE: Final = "network_namespace"
"""A network of its own with nothing in it. Hosts and containers often refuse it."""

PARTS: Final = (SECCOMP, LANDLOCK, CAPABILITIES, NETWORK_NAMESPACE)
REQUIRED: Final = (SECCOMP, LANDLOCK, CAPABILITIES)
"""What `FRAMEWIRE_REQUIRE_SANDBOX` insists on: without a network namespace seccomp still refuses
every socket."""

Level = Literal["full", "partial", "none"]


class Sandbox(msgspec.Struct, frozen=True):
    """The sandbox of a process's decoders: the parts of `PARTS` that this host refused."""

    missing: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """`none`: neither of the two parts that keep a decoder from files."""
        if not self.missing:
            return "full"
        return "none" if {SECCOMP, LANDLOCK} <= set(self.missing) else "partial"

    @property
    def suffices(self) -> bool:
        """Whether all required parts hold."""
        return not set(REQUIRED) & set(self.missing)

    def __str__(self) -> str:
        """Read as in `partial (without network_namespace)`."""
        return f"{self.level} (without {', '.join(self.missing)})" if self.missing else "full"
