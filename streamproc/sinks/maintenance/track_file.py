"""Tracks and vectors of a task while its log is read: on disk, as a log of months has many."""

from collections.abc import Iterator, Sequence

import msgspec

from streamproc.contract.tables import EMBEDDINGS, TRACKS, EmbeddingRow, TrackRow
from streamproc.sinks.index.tables import Embedded
from streamproc.sinks.maintenance.scratch_file import ScratchFile

_IDS_AT_ONCE = 500

_encode = msgspec.msgpack.encode
_decode_track = msgspec.msgpack.Decoder(TrackRow).decode
_decode_embedding = msgspec.msgpack.Decoder(EmbeddingRow).decode


class TrackFile(ScratchFile):
    """The last row of each track and of each vector."""

    def __init__(self) -> None:
        super().__init__(
            *(
                f"CREATE TABLE {table} (track_id INTEGER PRIMARY KEY, row BLOB NOT NULL)"
                for table in (TRACKS, EMBEDDINGS)
            )
        )

    def put(self, tracks: Sequence[TrackRow], embeddings: Sequence[EmbeddingRow]) -> None:
        """Keep these rows, in the place of earlier ones of the same tracks."""
        latest = sorted(embeddings, key=lambda row: row.off)  # clamped ids may be twice there
        for table, rows in ((TRACKS, tracks), (EMBEDDINGS, latest)):
            self.write(
                f"INSERT OR REPLACE INTO {table} VALUES (?, ?)",  # noqa: S608 - our names
                ((row.track_id, _encode(row)) for row in rows),
            )

    def get(self, ids: Sequence[int]) -> tuple[list[TrackRow], list[Embedded]]:
        """Return the rows of these tracks, and what their vectors are from."""
        tracks: list[TrackRow] = []
        embedded: list[Embedded] = []
        for first in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[first : first + _IDS_AT_ONCE]
            tracks += [_decode_track(packed) for packed in self._found(TRACKS, some)]
            for packed in self._found(EMBEDDINGS, some):
                row = _decode_embedding(packed)
                embedded.append(Embedded(row.track_id, row.confidence, row.off))
        return tracks, embedded

    def tracks(self, n_at_once: int) -> Iterator[list[TrackRow]]:
        """Yield all tracks in lists of so many, by id."""
        for rows in self._all(TRACKS, n_at_once):
            yield [_decode_track(packed) for (packed,) in rows]

    def embeddings(self, n_at_once: int) -> Iterator[list[EmbeddingRow]]:
        """Yield all vectors in lists of so many, by track."""
        for rows in self._all(EMBEDDINGS, n_at_once):
            yield [_decode_embedding(packed) for (packed,) in rows]

    def _found(self, table: str, ids: Sequence[int]) -> Iterator[bytes]:
        places = ", ".join("?" * len(ids))
        sql = f"SELECT row FROM {table} WHERE track_id IN ({places})"  # noqa: S608 - our names
        return (row for page in self.pages(sql, ids, n_at_once=_IDS_AT_ONCE) for (row,) in page)

    def _all(self, table: str, n_at_once: int) -> Iterator[list[tuple[bytes]]]:
        sql = f"SELECT row FROM {table} ORDER BY track_id"  # noqa: S608 - our names
        return self.pages(sql, n_at_once=n_at_once)
