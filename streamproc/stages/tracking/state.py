"""State of the tracker: `TrackTable` in memory, `TrackerState` in serialised form.

A table is a struct of arrays with one row per track, oldest first. A state holds the same data as
plain values that any msgspec codec can write. Packing and unpacking are lossless.
"""

import math
from dataclasses import dataclass, fields
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

STATE_VERSION = 1


class PackedArray(msgspec.Struct, frozen=True):
    """A serialised array: little-endian numpy type (`<f8`), shape, and bytes in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class TrackerState(msgspec.Struct, frozen=True):
    """Full state of a tracker after a frame; `columns` are those of `TrackTable`."""

    next_id: int = 1
    n_frames: int = 0
    last_time_s: float | None = None
    last_frame_index: int | None = None
    columns: dict[str, PackedArray] = {}
    version: int = STATE_VERSION


@dataclass(slots=True)
class TrackTable:
    """All live tracks, `n` rows; every operation on rows returns a new table."""

    ids: npt.NDArray[np.int32]
    """`(n,)` public id, 0 while tentative."""
    groups: npt.NDArray[np.int32]
    """`(n,)` class group, identified by its lowest class id."""
    classes: npt.NDArray[np.int32]
    """`(n,)` class id that the track reports."""
    votes: npt.NDArray[np.float64]
    """`(n, largest group)` decayed sums of scores by index in the group."""
    kinematics: npt.NDArray[np.float64]
    """`(n, 5, 4)`, see `kalman`."""
    first_seen_s: npt.NDArray[np.float64]
    """`(n,)` media time of the first detection."""
    last_seen_s: npt.NDArray[np.float64]
    """`(n,)` media time of the last detection."""
    missed: npt.NDArray[np.int32]
    """`(n,)` processed frames since the last detection."""
    hits: npt.NDArray[np.int32]
    """`(n,)` detections so far."""
    features: npt.NDArray[np.float32]
    """`(n, d)` unit moving averages; zeros without a feature; d is 0 before the first."""

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls, n_votes: int, n_features: int = 0) -> Self:
        return cls(
            ids=np.empty(0, np.int32),
            groups=np.empty(0, np.int32),
            classes=np.empty(0, np.int32),
            votes=np.empty((0, n_votes)),
            kinematics=np.empty((0, 5, 4)),
            first_seen_s=np.empty(0),
            last_seen_s=np.empty(0),
            missed=np.empty(0, np.int32),
            hits=np.empty(0, np.int32),
            features=np.empty((0, n_features), np.float32),
        )

    def rows(self, chosen: npt.NDArray[Any]) -> Self:
        """Return the rows of a mask or of indices."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def followed_by(self, others: Self) -> Self:
        return type(self)(
            *(
                np.concatenate([getattr(self, field.name), getattr(others, field.name)])
                for field in fields(self)
            )
        )

    def packed(self) -> dict[str, PackedArray]:
        return {field.name: _packed(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def unpacked(cls, columns: dict[str, PackedArray], n_votes: int) -> Self:
        """Return the table of a serialised state.

        Raises ValueError when a column is missing or broken, when the lengths of the columns
        differ, or when the number of votes is not `n_votes`.
        """
        if missing := [field.name for field in fields(cls) if field.name not in columns]:
            raise ValueError(f"the tracker state lacks {', '.join(missing)}")
        table = cls(*(_unpacked(columns[field.name]) for field in fields(cls)))
        lengths = {len(getattr(table, field.name)) for field in fields(cls)}
        if len(lengths) > 1 or table.votes.shape[1:] != (n_votes,):
            raise ValueError("the columns of the tracker state do not belong together")
        return table


def _packed(array: npt.NDArray[Any]) -> PackedArray:
    little = array.astype(array.dtype.newbyteorder("<"))
    return PackedArray(dtype=little.dtype.str, shape=little.shape, data=little.tobytes())


def _unpacked(packed: PackedArray) -> npt.NDArray[Any]:
    """Return a writable array in native byte order.

    Raises ValueError when the number of bytes does not fit the shape.
    """
    little = np.dtype(packed.dtype)
    if len(packed.data) != math.prod(packed.shape) * little.itemsize:
        raise ValueError(f"{len(packed.data)} bytes are no {packed.dtype} {packed.shape}")
    array = np.frombuffer(packed.data, dtype=little).reshape(packed.shape)
    return array.astype(little.newbyteorder("="))
