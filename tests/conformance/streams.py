"""One stream of the foreign protocol, its writing side: requests in, verdicts out, no IO.

What the protocol calls a duplicate or a zombie is not dropped here: the verdict says so, and the
mount really writes the record again (or under the old epoch), for the log's own fold to drop.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

DEFAULT_TYPE = "application/octet-stream"
MAX_NUMBER = 2**53 - 1

_NUMBER = re.compile(r"[0-9]{1,16}")


class RefusedError(Exception):
    """The request is answered with `status` and changes nothing."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})


class Producer(NamedTuple):
    """What a request says of its idempotent producer."""

    id: str
    epoch: int
    seq: int


class Append(NamedTuple):
    """A request to append `body`, to close, or both; `content_type` and `seq` as they came."""

    body: bytes
    close: bool
    content_type: str | None
    seq: str | None
    producer: Producer | None


class Deed(enum.Enum):
    """What is to be written."""

    APPEND = "append"
    AGAIN = "again"  # a record that is in the log already
    NOTHING = "nothing"  # the stream is closed already


class Verdict(NamedTuple):
    """`claim_first`: a producer began a new epoch, the writer has to claim the log anew.

    `again` is the producer's sequence number of the record that is repeated.
    """

    deed: Deed
    status: int
    headers: dict[str, str]
    claim_first: bool = False
    again: tuple[str, int, int] | None = None


class ZombieRefusedError(RefusedError):
    """A producer of an old epoch: its record is written under that epoch, for the fold to drop."""

    def __init__(self, current: int, producer: Producer) -> None:
        super().__init__(403, "stale producer epoch", {"Producer-Epoch": str(current)})
        self.producer = producer


@dataclass
class StreamState:
    """A stream that exists. `judge` before an append is written, `commit` once it is."""

    content_type: str
    closed: bool = False
    last_seq: str | None = None
    producers: dict[str, tuple[int, int]] = field(default_factory=dict)
    closed_by: Producer | None = None

    @property
    def is_json(self) -> bool:
        return media_type(self.content_type) == "application/json"

    @property
    def is_text(self) -> bool:
        return self.is_json or media_type(self.content_type).startswith("text/")

    def judge(self, append: Append) -> Verdict:
        """Return what the append comes to; raises `RefusedError`."""
        if append.body:
            if append.content_type is None:
                raise RefusedError(400, "Content-Type is missing")
            if media_type(append.content_type) != media_type(self.content_type):
                raise RefusedError(409, "another content type")
        elif not append.close:
            raise RefusedError(400, "nothing to append")
        if self.closed:
            return self._of_closed(append)
        verdict = self._of_producer(append)
        if verdict.deed is Deed.APPEND and not self._is_next(append.seq):
            raise RefusedError(409, "Stream-Seq does not grow")
        return verdict

    def commit(self, append: Append) -> None:
        """Note that the append is in the log."""
        if append.seq is not None:
            self.last_seq = append.seq
        if append.producer is not None:
            self.producers[append.producer.id] = append.producer[1:]
        if append.close:
            self.closed = True
            self.closed_by = append.producer

    def _is_next(self, seq: str | None) -> bool:
        return seq is None or self.last_seq is None or seq > self.last_seq

    def _of_closed(self, append: Append) -> Verdict:
        headers = {"Stream-Closed": "true"}
        producer = append.producer
        if producer is not None:
            if producer == self.closed_by:
                return Verdict(Deed.NOTHING, 204, headers | _echo(producer.epoch, producer.seq))
            epoch, _ = self.producers.get(producer.id, (0, -1))
            if producer.epoch < epoch:
                raise ZombieRefusedError(epoch, producer)
        elif not append.body:
            return Verdict(Deed.NOTHING, 204, headers)
        raise RefusedError(409, "the stream is closed", headers)

    def _of_producer(self, append: Append) -> Verdict:
        closed = {"Stream-Closed": "true"} if append.close else {}
        producer = append.producer
        if producer is None:
            return Verdict(Deed.APPEND, 204, closed)
        known = self.producers.get(producer.id)
        epoch, last_seq = known or (producer.epoch, -1)
        if producer.epoch < epoch:
            raise ZombieRefusedError(epoch, producer)
        if producer.epoch > epoch:
            if producer.seq:
                raise RefusedError(400, "a new epoch begins at 0")
        elif producer.seq <= last_seq:
            repeated = (producer.id, producer.epoch, producer.seq)
            return Verdict(Deed.AGAIN, 204, _echo(epoch, last_seq), again=repeated)
        elif producer.seq > last_seq + 1:
            raise RefusedError(
                409,
                "a gap in the sequence",
                {
                    "Producer-Expected-Seq": str(last_seq + 1),
                    "Producer-Received-Seq": str(producer.seq),
                },
            )
        return Verdict(
            Deed.APPEND,
            200 if append.body else 204,
            closed | _echo(producer.epoch, producer.seq),
            claim_first=producer.epoch > epoch,
        )


def read_append(headers: Mapping[str, str], body: bytes) -> Append:
    """Return what a POST asks for; header names are lower case. Raises `RefusedError`."""
    return Append(
        body=body,
        close=is_close(headers),
        content_type=headers.get("content-type") or None,
        seq=headers.get("stream-seq"),
        producer=_read_producer(headers),
    )


def is_close(headers: Mapping[str, str]) -> bool:
    return headers.get("stream-closed", "").strip().lower() == "true"


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _read_producer(headers: Mapping[str, str]) -> Producer | None:
    given = [headers.get(f"producer-{name}") for name in ("id", "epoch", "seq")]
    if given == [None, None, None]:
        return None
    name, epoch, seq = given
    if not name or epoch is None or seq is None:
        raise RefusedError(400, "a producer is Producer-Id, Producer-Epoch and Producer-Seq")
    return Producer(name, _number(epoch), _number(seq))


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None or int(text) > MAX_NUMBER:
        raise RefusedError(400, "producers count in whole numbers")
    return int(text)


def _echo(epoch: int, seq: int) -> dict[str, str]:
    return {"Producer-Epoch": str(epoch), "Producer-Seq": str(seq)}
