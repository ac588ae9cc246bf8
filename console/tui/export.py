"""Export of tracks and results as CSV or JSON. Pure."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

FORMATS = (".json", ".csv")


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
