"""Checkpoint of a live task, and how it goes on from what its log says after that.

A live source cannot be read again: frames that a worker wrote after its last checkpoint are known
from the log alone. `continued` makes the checkpoint that would have been written after them.
"""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from msgspec import UNSET

from streamproc.contract.chunk import Chunk, StreamInfo, Target
from streamproc.source.live.hls.place import LastFrame
from streamproc.source.live_source.accounts import Totals
from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.replay import LoggedFrame, replayed
from streamproc.stages.tracking.state import TrackerState

Size = tuple[int, int]


class LiveState(msgspec.Struct, frozen=True):
    """The engine's checkpoint after a frame.

    `first_wall_s`: when the task's first frame was taken, in s since 1970, None if the log does not
    tell. `time_s`: of the last frame, since that. `range_index`: of the first frame in the range.
    `best`: as in `stages.targets.best_vectors`, of the tracks that live. `hls`: where the last
    frame is in the playlist; None for other sources.
    """

    totals: Totals
    processed: int
    first_wall_s: float | None
    time_s: float
    size: Size
    tracker: TrackerState
    best: dict[int, float] = {}
    range_index: int | None = None
    hls: LastFrame | None = None


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(LiveState).decode


def continued(
    state: bytes | None,
    chunks: Sequence[Chunk],
    parameters: TrackParameters,
    class_names: Sequence[str],
    last_pts: int | None = None,
) -> bytes | None:
    """Return the state after `chunks`, the log's since `state`; None: there was no frame.

    Chunks that the state contains already, notices and the terminal change nothing. A class that is
    not in `class_names` has no track. `last_pts`: the timestamp of the log's last frame, if known.
    """
    before = None if state is None else decode_state(state)
    last = -1 if before is None else before.totals.index
    infos = [one.stream_info for one in chunks if _is_frame(one, last)]
    if not infos:
        return state
    frames = [*_logged(chunks, before, class_names)]
    newest = infos[-1]
    tracker = replayed(
        parameters,
        None if before is None else before.tracker,
        frames,
        None if before is None else before.size,
    )
    return encode_state(
        LiveState(
            totals=_totals(before, newest),
            processed=len(infos) + (0 if before is None else before.processed),
            first_wall_s=_first_wall_s(infos) if before is None else before.first_wall_s,
            time_s=_time_s(newest),
            size=frames[-1].image_size,
            tracker=tracker,
            best={} if before is None else before.best,
            range_index=infos[0].frame_index if before is None else before.range_index,
            hls=None if before is None else _last_frame(before.hls, last_pts),
        )
    )


def _is_frame(chunk: Chunk, last: int) -> bool:
    info = chunk.stream_info
    return chunk.finish_reason is None and not info.is_notice and info.frame_index > last


def _logged(
    chunks: Iterable[Chunk], before: LiveState | None, class_names: Sequence[str]
) -> Iterable[LoggedFrame]:
    size = (1, 1) if before is None else before.size
    last = -1 if before is None else before.totals.index
    ids = {name: number for number, name in enumerate(class_names)}
    for chunk in chunks:
        info = chunk.stream_info
        size = size if info.size is UNSET else info.size
        if _is_frame(chunk, last):
            targets = [
                one
                for result in chunk.delta.results
                for one in result.targets
                if one.class_name in ids
            ]
            yield _frame(info, targets, ids, size)


def _frame(info: StreamInfo, targets: list[Target], ids: dict[str, int], size: Size) -> LoggedFrame:
    boxes = [
        (one.left, one.top, one.left + one.width, one.top + one.height)
        for one in (target.roi for target in targets)
    ]
    return LoggedFrame(
        frame_index=info.frame_index,
        time_s=_time_s(info),
        ids=np.array([one.track_id for one in targets], np.int32),
        class_ids=np.array([ids[one.class_name] for one in targets], np.int32),
        boxes_px=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array([one.confidence for one in targets], np.float32),
        image_size=size,
    )


def _totals(before: LiveState | None, info: StreamInfo) -> Totals:
    """Return the counts of the log; frames dropped since the state are said to be sampled out."""
    dropped = {} if before is None else dict(before.totals.dropped)
    more = info.dropped_frames - sum(dropped.values())
    if more > 0:
        dropped["sampling"] = dropped.get("sampling", 0) + more
    return Totals(info.frame_index, info.decoded_frames, dropped)


def _last_frame(before: LastFrame | None, last_pts: int | None) -> LastFrame | None:
    """Return where the log's last frame is: in the checkpoint's segment, or in one after it."""
    if before is None or last_pts is None:
        return before
    return msgspec.structs.replace(before, timestamp=last_pts)


def _time_s(info: StreamInfo) -> float:
    return 0.0 if info.time_s is UNSET else info.time_s


def _first_wall_s(infos: Sequence[StreamInfo]) -> float | None:
    for info in infos:
        if info.captured_ms is not None and info.time_s is not UNSET:
            return info.captured_ms / 1000 - info.time_s
    return None
