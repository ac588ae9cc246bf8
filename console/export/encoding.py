"""Export of tracks and results as CSV or JSON. Pure."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from api.contract.tracks import TrackSummary

FORMATS = (".json", ".csv")
_MERGED = ("task", *TrackSummary.__struct_encode_fields__)


def encode_rows(rows: Sequence[msgspec.Struct], path: Path) -> bytes:
    """Encode the rows in the format of the path's suffix; raises ValueError for another suffix."""
    plain: list[dict[str, Any]] = msgspec.to_builtins(rows)
    if path.suffix == ".json":
        return msgspec.json.format(msgspec.json.encode(plain)) + b"\n"
    if path.suffix == ".csv":
        text = io.StringIO(newline="")
        names = list(dict.fromkeys(name for row in plain for name in row))
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
        return text.getvalue().encode()
    raise ValueError(f"the name must end in {' or '.join(FORMATS)}")


class MergedTracks:
    """The tracks of many tasks as one CSV or JSON text, piece by piece; each names its `task`."""

    def __init__(self, suffix: str) -> None:
        self._is_csv = suffix == ".csv"
        self._n_rows = 0

    def begin(self) -> bytes:
        return _csv_text([_MERGED]) if self._is_csv else b"["

    def rows(self, task_id: str, tracks: Sequence[TrackSummary]) -> bytes:
        """Return the text of one task's tracks."""
        plain = [{"task": task_id, **msgspec.to_builtins(track)} for track in tracks]
        if self._is_csv:
            return _csv_text([[row.get(name, "") for name in _MERGED] for row in plain])
        text = b""
        for row in plain:
            text += b",\n  " if self._n_rows else b"\n  "
            text += msgspec.json.format(msgspec.json.encode(row)).replace(b"\n", b"\n  ")
            self._n_rows += 1
        return text

    def end(self) -> bytes:
        return b"" if self._is_csv else b"\n]\n" if self._n_rows else b"]\n"


def _csv_text(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
