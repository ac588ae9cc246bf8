"""Logs that workers wrote, kept as they are: what was written once is read for ever.

Added to, never edited. `id_first.txt` is of the first version, `data_first.txt` of the one after
it; `both.txt` was begun by the first, whose worker was killed, and ended by the second.
"""

import hashlib
from pathlib import Path

import pytest

from console.client.log_stream import EventSplitter
from streamproc.contract.chunk import decode_chunk
from streamproc.contract.framing import DONE, frame_event, parse_events
from tests.id_first import frame_id_first

LOGS = Path(__file__).parent / "logs"
SHA256 = {
    "id_first.txt": "d29282cf4b1aeb19f356d3dec0872c6b40f3835739ca5b45f0f422cb7c55366e",
    "data_first.txt": "33834372a28dceb2ce6e83284b0de63d33db28d8dc62fe172c4b5cd4c250e94d",
    "both.txt": "ddbd4312caeb845bf1c2b4d6155c8b722bc56241415a8a400e0e27f1339e7a69",
}
N_ID_FIRST = {"id_first.txt": 12, "data_first.txt": 0, "both.txt": 4}
N_EVENTS = 12


def test_every_log_is_known() -> None:
    assert {path.name for path in LOGS.iterdir()} == set(SHA256)


@pytest.mark.parametrize("name", SHA256)
def test_a_log_is_read_as_it_was_written(name: str) -> None:
    log = (LOGS / name).read_bytes()
    assert hashlib.sha256(log).hexdigest() == SHA256[name]
    events = list(parse_events(log))
    assert len(events) == N_EVENTS
    assert [event.start for event in events[1:]] == [event.end for event in events[:-1]]
    assert (events[-1].end, events[-1].data) == (len(log), DONE)
    *chunks, terminal = (decode_chunk(event.data) for event in events[:-1])
    assert [chunk.stream_info.frame_index for chunk in chunks] == list(range(0, 120, 12))
    assert terminal.finish_reason == "stop"
    assert EventSplitter(0).feed(log) == tuple(events)
    frames = [frame_id_first] * N_ID_FIRST[name] + [frame_event] * (N_EVENTS - N_ID_FIRST[name])
    written = (frame(event.data, event.start) for frame, event in zip(frames, events, strict=True))
    assert b"".join(written) == log
