"""Recordings in S3 after a chaos run: their pieces, played by libav, and the frames they have."""

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import av
import cv2
import httpx
import numpy as np

from streamproc.contract.chunk import Gap, StreamInfo
from streamproc.contract.recordings import (
    PieceInfo,
    PieceKey,
    find_piece,
    read_piece_key,
    recording_prefix,
)
from streamproc.source.live.recording.picture import RecordedPicture
from streamproc.source.live.recording.piece_maker import PIECE_S, read_piece
from tests.chaos.fleet import Fleet
from tests.engines import S3Server
from tests.live.clip import read_number

LOST_BEFORE_S = PIECE_S + 15.0
"""What a worker has not stored when it is killed: the piece that it makes, which ends with a
keyframe, and those that S3 did not take at once while it was made to fail."""


@dataclass(frozen=True)
class Piece:
    """A piece with what libav shows of it: the number on each of its pictures."""

    key: PieceKey
    pictures: Sequence[RecordedPicture]
    numbers: Sequence[int]


@dataclass(frozen=True)
class Recording:
    """All pieces of a task, and where its workers began."""

    pieces: Sequence[Piece]
    keys: Sequence[PieceKey]

    def frame(self, index: int) -> tuple[RecordedPicture, int] | None:
        """Return the frame that a reader finds, and its number; None: it is not kept."""
        found = find_piece(self.keys, index)
        for piece in self.pieces:
            if found is not None and piece.key.key == found.key:
                for picture, number in zip(piece.pictures, piece.numbers, strict=True):
                    if picture.frame == index:
                        return picture, number
        return None


def recording_of(s3: S3Server, project: str, task: str) -> Recording:
    """Read all pieces; each of them is played to its end."""
    client = s3.client()
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=s3.bucket, Prefix=recording_prefix(project, task)
    )
    names = [item["Key"] for page in pages for item in page.get("Contents", [])]
    keys = [key for key in map(read_piece_key, names) if key is not None]
    assert len(keys) == len(names)
    pieces = []
    for key in keys:
        if not key.has_video:
            continue
        got = client.get_object(Bucket=s3.bucket, Key=key.key)
        data, info = got["Body"].read(), PieceInfo.from_metadata(got["Metadata"])
        _, pictures = read_piece(data)
        numbers = [*played(data)]
        assert len(numbers) == len(pictures) == info.n_pictures, key
        pieces.append(Piece(key, pictures, numbers))
    return Recording(pieces, keys)


def played(data: bytes) -> Iterator[int]:
    """Yield the number on each picture of a piece, as a player shows them."""
    with av.open(io.BytesIO(data), "r", format="mpegts") as video:
        for frame in video.decode(video=0):
            yield read_number(frame.to_ndarray(format="rgb24"))


def check_pieces(recording: Recording) -> None:
    """Check that indexes rise, and that no two workers that wrote the log have the same ones."""
    by_epoch: dict[int, list[int]] = {}
    for piece in recording.pieces:
        indexes = [one.frame for one in piece.pictures if one.frame is not None]
        assert piece.key.first == indexes[0]
        by_epoch.setdefault(piece.key.epoch, []).extend(indexes)
        n_steps = sum(
            (b - a) % 20 == 1  # both clips' lengths are multiples of it
            for a, b in pairwise(piece.numbers)
        )
        assert n_steps >= len(piece.numbers) // 2, "the pictures of a piece follow each other"
    starts = {key.epoch: key.first for key in recording.keys if not key.has_video}
    for epoch, indexes in by_epoch.items():
        assert all(a < b for a, b in pairwise(indexes)), "the indexes of a worker rise"
        ends = [first for other, first in starts.items() if other > epoch]
        own = [index for index in indexes if index < min(ends, default=1 << 62)]
        for other, others in by_epoch.items():
            assert other <= epoch or not set(own) & set(others), "an index of two workers"


def check_frames(recording: Recording, frames: Sequence[StreamInfo]) -> int:
    """Check the frames of a log against its recording; return how many are not kept.

    A frame that is kept was captured when its chunk says. The others came shortly before another
    worker took over.
    """
    taken_over_ms = [
        one.captured_ms or 0
        for one in frames
        if isinstance(one.gap, Gap) and one.gap.reason == "worker_lost"
    ]
    n_lost, last_ms = 0, 0
    for frame in frames:
        captured_ms = frame.captured_ms
        assert captured_ms is not None
        found = recording.frame(frame.frame_index)
        if found is None:
            n_lost += 1
            assert any(0 <= at - captured_ms <= 1000 * LOST_BEFORE_S for at in taken_over_ms)
        else:  # the log's time does not go back: it goes on slowly where it would have to
            is_held_back = found[0].captured_ms < captured_ms < last_ms + 1000
            assert found[0].captured_ms == captured_ms or is_held_back
        last_ms = captured_ms
    return n_lost


def check_answers(
    fleet: Fleet, key: str, task: str, recording: Recording, frames: Sequence[StreamInfo]
) -> None:
    """Check what the api answers for some frames, of those that are not kept two."""
    lost = [one for one in frames if recording.frame(one.frame_index) is None]
    for frame in [*frames[:: max(1, len(frames) // 8)], frames[-1], *lost[:2]]:
        answer = _picture(fleet, key, task, frame.frame_index)
        found = recording.frame(frame.frame_index)
        if found is None:
            assert (answer.status_code, answer.json()["code"]) == (404, "frame_not_kept")
            continue
        assert answer.status_code == 200, answer.text
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert read_number(image) == found[1]
        if frame.captured_ms == found[0].captured_ms:
            assert answer.headers["frame-captured-at"] == frame.captured_at


def _picture(fleet: Fleet, key: str, task: str, index: int) -> httpx.Response:
    """Ask until an api answers: the last fault may have been one's death."""
    for attempt in range(60):
        url = f"{fleet.api_url(attempt)}/v1/video/tasks/{task}/frames/{index}.jpg"
        try:
            answer = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        except httpx.HTTPError:
            time.sleep(0.5)
            continue
        if answer.status_code < 500 and answer.status_code != 429:
            return answer
        time.sleep(0.5)
    raise AssertionError("no api answered")
