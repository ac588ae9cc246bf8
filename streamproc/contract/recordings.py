"""Recording of a live source: the keys of its pieces in S3, what their metadata says, and bounds.

`{project}/{task}/rec/{first:020d}.{epoch:020d}.ts`     H.264 and H.265, an MPEG transport stream
`{project}/{task}/rec/{first:020d}.{epoch:020d}.mjpeg`  JPEG, the parts of a multipart body
`{project}/{task}/rec/{first:020d}.{epoch:020d}.start`  a worker begins here; no video

`first` is the index of the piece's first frame. `epoch` is that of the claim with which its worker
opened the source. While one worker takes over from another one, both may record: the frames of the
log are then those of the higher epoch, from its start on.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from streamproc.contract.object_keys import task_prefix

MAX_SPAN: Final = 4096
"""The numbers of a piece's frames are less than this above its first one's."""
MAX_PIECE_BYTES: Final = 64 << 20
"""Of a stored piece, with its container."""
SUFFIXES: Final = {"h264": "ts", "hevc": "ts", "mjpeg": "mjpeg"}
CONTENT_TYPES: Final = {
    "ts": "video/mp2t",
    "mjpeg": "multipart/x-mixed-replace; boundary=framewire",
}

_PIECE: Final = re.compile(
    r"/rec/(?P<first>\d{20})\.(?P<epoch>\d{20})\.(?P<suffix>ts|mjpeg|start)$"
)


class PieceKey(NamedTuple):
    """A piece as a listing shows it; without video it says where a worker begins."""

    key: str
    first: int
    epoch: int
    has_video: bool = True


def recording_prefix(project: str, task: str) -> str:
    return task_prefix(project, task) + "rec/"


def piece_key(project: str, task: str, first: int, epoch: int, codec: str) -> str:
    """Return the key of a piece; `codec` is one of `SUFFIXES`."""
    return f"{recording_prefix(project, task)}{first:020d}.{epoch:020d}.{SUFFIXES[codec]}"


def start_key(project: str, task: str, first: int, epoch: int) -> str:
    """Return the key of the object that says where a worker begins."""
    return f"{recording_prefix(project, task)}{first:020d}.{epoch:020d}.start"


def read_piece_key(key: str) -> PieceKey | None:
    """Return what a key says, None for another object's key."""
    match = _PIECE.search(key)
    if match is None:
        return None
    has_video = match["suffix"] != "start"
    return PieceKey(key, int(match["first"]), int(match["epoch"]), has_video)


def before_frame(project: str, task: str, frame: int) -> str:
    """Return a key after which every piece is listed that can have the frame."""
    return f"{recording_prefix(project, task)}{max(0, frame - MAX_SPAN + 1):020d}"


def find_piece(pieces: Iterable[PieceKey], frame: int) -> PieceKey | None:
    """Return the piece in which a frame is to be looked for, None if none can have it.

    `pieces` are those from `before_frame` on, up to the frame.
    """
    before = (one for one in pieces if one.first <= frame)
    found = max(before, key=lambda one: (one.epoch, one.first, one.has_video), default=None)
    return found if found is not None and found.has_video else None


class PieceInfo(msgspec.Struct, frozen=True):
    """What the S3 metadata of a piece says of it.

    `last`: the highest index of its frames. `n_pictures`: those that it has, with and without an
    index. `first_ms` and `last_ms`: when its first and its last picture were captured, Unix ms.
    """

    codec: str
    width: int
    height: int
    last: int
    n_pictures: int
    first_ms: int
    last_ms: int

    def to_metadata(self) -> dict[str, str]:
        return {
            "codec": self.codec,
            "width": str(self.width),
            "height": str(self.height),
            "last-frame": str(self.last),
            "pictures": str(self.n_pictures),
            "captured-at-ms": str(self.first_ms),
            "captured-to-ms": str(self.last_ms),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "PieceInfo":
        """Parse S3 metadata; raises KeyError or ValueError if `to_metadata` did not write it."""
        fields = {name.lower(): value for name, value in metadata.items()}
        return cls(
            codec=fields["codec"],
            width=int(fields["width"]),
            height=int(fields["height"]),
            last=int(fields["last-frame"]),
            n_pictures=int(fields["pictures"]),
            first_ms=int(fields["captured-at-ms"]),
            last_ms=int(fields["captured-to-ms"]),
        )
