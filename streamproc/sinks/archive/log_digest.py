"""The hashes of a log while it is archived, and the two events that `final.json` is made of."""

import hashlib
from typing import Any

from streamproc.contract.framing import event_data
from streamproc.contract.object_keys import MAX_HASHED_BYTES, linked
from streamproc.contract.records import ChunkRecord


class LogDigest:
    """`first` and `terminal` are the data of these events, empty if they were not seen.

    `chain` is that of the last stored segment, empty without one (`object_keys.linked`).
    """

    def __init__(self) -> None:
        self.chain = ""
        self.first = b""
        self.terminal = b""
        self._sha256: Any = hashlib.sha256()  # None: a part of the log was not seen

    @property
    def is_whole(self) -> bool:
        """Whether all of the log was seen here."""
        return self._sha256 is not None

    def add(self, record: ChunkRecord) -> None:
        """Add the next stored record."""
        if self._sha256 is None:
            return
        if record.end <= MAX_HASHED_BYTES:
            self._sha256.update(record.value)
        if record.off == 0:
            self.first = event_data(record.value)
        if record.kind == "terminal":
            self.terminal = event_data(record.value)

    def skip(self) -> None:
        """Record that bytes were stored that were not seen here."""
        self._sha256 = None

    def sha256(self, length: int) -> str | None:
        """Return the hash of the log's `length` bytes, None if there are too many, or some unseen.

        A log of that length without a chain has segments of an older version: it is read back.
        """
        if self._sha256 is None or length > MAX_HASHED_BYTES:
            return None
        digest: str = self._sha256.hexdigest()
        return digest

    def segment(self, start: int, body: bytes) -> tuple[str, str]:
        """Return the digest of the segment that begins at `start`, and the chain after it.

        The chain stays empty after a segment without one.
        """
        digest = hashlib.sha256(body).hexdigest()
        return digest, linked(self.chain, digest) if self.chain or start == 0 else ""
