"""The watchdog of a consumer without a group."""

from confluent_kafka import TopicPartition

from api.kafka.consumer_watchdog import ConsumerPulse

PLACES = [("video.chunks", 0), ("video.chunks", 1)]


class Reading:
    """A consumer that reads. It can be asked for its positions, and for nothing of the broker."""

    def __init__(self) -> None:
        self.at = {0: 5, 1: 7}

    def position(self, places: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(p.topic, p.partition, self.at[p.partition]) for p in places]


class Asking:
    """A consumer that is assigned nothing."""

    def __init__(self) -> None:
        self.ends = {0: 5, 1: 9}

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, self.ends[place.partition]


def test_a_partition_that_is_behind_and_does_not_move_stands() -> None:
    now_s = [0.0]
    reading = Reading()
    pulse = ConsumerPulse(reading, Asking(), PLACES, 60.0, lambda: now_s[0])  # type: ignore[arg-type]
    found = []
    while now_s[0] < 90:
        now_s[0] += 5
        found += [(now_s[0], place) for place in pulse.stalled()]
    assert {place for _, place in found} == {("video.chunks", 1)}
    assert min(at_s for at_s, _ in found) >= 60


def test_a_partition_that_moves_does_not_stand() -> None:
    now_s = [0.0]
    reading = Reading()
    pulse = ConsumerPulse(reading, Asking(), PLACES, 60.0, lambda: now_s[0])  # type: ignore[arg-type]
    while now_s[0] < 300:
        now_s[0] += 15
        reading.at[1] = int(now_s[0] // 50)
        assert pulse.stalled() == []
