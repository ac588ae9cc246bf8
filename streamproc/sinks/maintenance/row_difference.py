"""Compares rows that are expected with rows that are stored, with neither of them in memory."""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from streamproc.contract.tables import DetectionRow
from streamproc.sinks.maintenance.scratch_file import ScratchFile

_DIGEST_BYTES = 16
_PLACE_BYTES = 12
_CREATE = "CREATE TABLE expected (row BLOB PRIMARY KEY, found INTEGER NOT NULL) WITHOUT ROWID"


class RowDifference(ScratchFile):
    """The hashes of the rows that a table should have; the writers' epochs are not compared."""

    def __init__(self) -> None:
        super().__init__(_CREATE)

    def expect(self, rows: Sequence[msgspec.Struct]) -> None:
        """Add rows that the table should have."""
        self.write("INSERT OR IGNORE INTO expected VALUES (?, 0)", ((_hashed(r),) for r in rows))

    def find(self, stored: Iterable[Sequence[msgspec.Struct]]) -> str:
        """Compare with the lists of all rows that the table has, each row once.

        Returns the difference, empty if there is none.
        """
        n_foreign = 0
        for rows in stored:
            hashes = ((_hashed(row),) for row in rows)
            n_found = self.write("UPDATE expected SET found = 1 WHERE row = ?", hashes)
            n_foreign += len(rows) - n_found
        ((n_missing,),) = next(
            self.pages("SELECT count(*) FROM expected WHERE NOT found", n_at_once=1)
        )
        if not n_missing and not n_foreign:
            return ""
        return f"{n_missing} rows are missing or differ, {n_foreign} rows do not belong there"


def _hashed(row: msgspec.Struct) -> bytes:
    """Return the row's place in its table and its hash: rows come mostly in order of the places."""
    place = getattr(row, "track_id", 0)
    if isinstance(row, DetectionRow):
        row = msgspec.structs.replace(row, epoch=0)
        place = (row.frame << 32) + row.det_idx
    body = hashlib.blake2b(msgspec.json.encode(row), digest_size=_DIGEST_BYTES).digest()
    return place.to_bytes(_PLACE_BYTES, "big") + body
