"""Liveness of suspected workers, from the heartbeats on video.workers."""

import time
from collections.abc import Iterator, Sequence

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from streamproc.clients.kafka import KafkaSettings, client_config, consumer_config, poll_batch
from streamproc.contract.decoding import msgpack_decoder
from streamproc.contract.records import WorkerBeat
from streamproc.contract.topics import WORKERS
from streamproc.errors import LogUnavailableError
from streamproc.worker.task_state import Suspect, crashed

BEAT_S = 2.0
_LISTEN_S = 3 * BEAT_S
_POLL_S = 0.2
_TIMEOUT_S = 10.0
_decode_beat = msgpack_decoder(WorkerBeat)


class Heartbeats:
    """Reader of heartbeats. Opens a consumer for each call of `crashed`, as calls are rare."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka

    def crashed(self, suspects: Sequence[Suspect], limit: int) -> bool:
        """Return whether at least `limit` suspects crashed, as far as heartbeats show.

        Reads the heartbeats since the first suspect's claim, and waits for three more intervals
        before it returns True. Raises `LogUnavailableError` if Kafka does not answer.
        """
        asked_ms = time.time_ns() // 1_000_000
        until_s = time.monotonic() + _LISTEN_S
        heard: list[WorkerBeat] = []
        consumer = Consumer(
            consumer_config(client_config(self._kafka), "framewire-beats", low_latency=True)
        )
        try:
            since_ms = min((suspect.claimed_ms for suspect in suspects), default=asked_ms)
            (place,) = consumer.offsets_for_times(
                [TopicPartition(WORKERS, 0, since_ms)], timeout=_TIMEOUT_S
            )
            if place.error is not None:
                place = TopicPartition(WORKERS, 0, OFFSET_BEGINNING)
            consumer.assign([place])
            while True:
                heard.extend(_read(consumer))
                if len(crashed(suspects, heard, asked_ms)) < limit:
                    return False
                if time.monotonic() > until_s:
                    return True
        except KafkaException as exc:
            raise LogUnavailableError(f"the heartbeats cannot be read: {exc.args[0]}") from exc
        finally:
            consumer.close()


def _read(consumer: Consumer) -> Iterator[WorkerBeat]:
    for message in poll_batch(consumer, _POLL_S):
        if message.error() is None and message.value():
            try:
                yield _decode_beat(message.value() or b"")
            except msgspec.DecodeError:
                continue
