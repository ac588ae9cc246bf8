"""Which pictures a decoder gets: from a keyframe on, and none that builds on a missing one."""

from enum import Enum
from typing import Final

from streamproc.source.live.rtp.depacketizer import AccessUnit

KEYFRAME_TIMEOUT_S: Final = 30.0
"""Longest wait for a keyframe that can be decoded: some cameras send one in 10 s or more."""


class OnLoss(Enum):
    """After a loss: leave out all pictures until the next keyframe, or decode them, damaged."""

    SKIP = "skip"
    CONCEAL = "conceal"


class KeyframeGate:
    """Passes or drops each picture; counts what it drops, by reason."""

    def __init__(self, on_loss: OnLoss = OnLoss.SKIP) -> None:
        self._on_loss = on_loss
        self._is_open = False
        self._was_open = False
        self.n_before_first = 0
        """Before the first keyframe."""
        self.n_damaged = 0
        """Damaged, or built on a picture that is damaged or missing."""

    @property
    def is_open(self) -> bool:
        """Whether the next picture needs no keyframe."""
        return self._is_open

    def admits(self, unit: AccessUnit) -> bool:
        """Return whether the decoder may have the picture."""
        if unit.is_key and not unit.is_damaged:
            self._is_open = self._was_open = True
            return True
        if self._is_open and (unit.is_damaged or unit.follows_loss):
            self._is_open = self._on_loss is OnLoss.CONCEAL
        if self._is_open:
            return True
        if self._was_open:
            self.n_damaged += 1
        else:
            self.n_before_first += 1
        return False

    def restart(self) -> None:
        """Wait for a keyframe: the decoder was replaced, or pictures were left out."""
        self._is_open = False
