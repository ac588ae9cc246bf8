"""Batches of the index: an insert costs ClickHouse far more than its rows.

A batch in which a task begins or ends is over after a second. While tasks only go on, nobody waits
for it, and it may take three.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Consumer, Message

from streamproc.contract.records import BadRecordError, Continue, decode_task_message
from streamproc.contract.topics import TASK_TOPICS

RECORDS: Final = 2000
BATCH_S: Final = 1.0
STEADY_S: Final = 3.0
_LOOK_S: Final = 0.25


def next_batch(consumer: Consumer, is_ending: Callable[[], bool]) -> list[Any]:
    """Return the messages of the next batch; `is_ending` ends it early."""
    until_s = time.monotonic() + STEADY_S
    messages: list[Any] = consumer.consume(RECORDS, BATCH_S)
    new = messages
    while (
        messages
        and len(messages) < RECORDS
        and time.monotonic() < until_s
        and not is_ending()
        and all(goes_on(message) for message in new)
    ):
        new = consumer.consume(RECORDS - len(messages), _LOOK_S)
        messages = messages + new
    return messages


def goes_on(message: Message) -> bool:
    """Return whether a message is from the middle of a task; one that is unreadable is not."""
    if message.error() is not None:
        return False
    if message.topic() in TASK_TOPICS:
        try:
            return isinstance(decode_task_message(message.value() or b""), Continue)
        except BadRecordError:
            return False
    headers: dict[str, Any] = dict(message.headers() or ())
    return headers.get("kind") in {b"chunk", b"claim"} and headers.get("off") != b"0"
