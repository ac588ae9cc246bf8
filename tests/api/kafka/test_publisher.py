"""What the publisher says while Kafka is away: to a submitter, and of the part's health."""

import msgspec
import pytest

from api.errors import UnavailableError
from api.kafka.producer import Publisher
from api.settings import Settings


async def test_a_part_that_is_away_does_not_speak_of_a_request(settings: Settings) -> None:
    away = msgspec.structs.replace(settings, kafka="127.0.0.1:1", kafka_deadline_s=0.5)
    publisher = Publisher(away)
    try:
        with pytest.raises(UnavailableError) as of_part:
            await publisher.check()
        with pytest.raises(UnavailableError) as of_request:
            await publisher.send("video.tasks", "key", b"value")
    finally:
        await publisher.close()
    assert of_part.value.detail == "Kafka does not answer."
    assert "nothing was accepted" in of_request.value.detail
