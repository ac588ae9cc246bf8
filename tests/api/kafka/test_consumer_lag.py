"""How far a role is behind, in numbers and in what Prometheus reads."""

import pytest

from api.kafka.consumer_lag import Lag, lag_resource
from api.metrics import Metrics
from api.settings import Settings
from streamproc.clients.consumer_lag import ConsumerLag
from streamproc.contract import topics


@pytest.mark.parametrize(
    ("first", "end", "committed", "messages", "shown"),
    [
        (0, 10, 4, 6, 6),
        (0, 10, 10, 0, 0),
        (0, 10, None, 10, None),
        (5, 10, None, 5, None),
        (0, 0, None, 0, None),
        (10, 10, 4, 0, 0),
    ],
)
def test_what_was_never_committed_counts_as_unread(
    first: int, end: int, committed: int | None, messages: int, shown: int | None
) -> None:
    place = ConsumerLag("framewire-archive", "video.chunks", 1, first, end, committed)
    assert place.messages == messages
    assert lag_resource(place).lag == shown


def test_a_stalled_topic_is_not_hidden_by_the_groups_other_one() -> None:
    lag = Lag(Settings(kafka="127.0.0.1:9", clickhouse="", watchdog_s=30.0))
    places = [(topic, partition) for topic in topics.TASK_TOPICS for partition in (0, 1)]
    stuck = (topics.TASKS, 1)
    for now_s, committed in ((0.0, 4), (31.0, 5)):
        lag._known = [
            ConsumerLag(topics.WORKER_GROUP, *at, 0, 10, 4 if at == stuck else committed)
            for at in places
        ]
        lag._look(now_s)
    assert lag.stalled == [(topics.WORKER_GROUP, 1)]


def test_metrics_forget_what_nobody_knows_any_more() -> None:
    metrics = Metrics()
    metrics.set_lag([ConsumerLag("framewire-archive", "video.chunks", 1, 0, 10, 4)])
    line = (
        'framewire_lag_messages{group="framewire-archive",partition="1",topic="video.chunks"} 6.0'
    )
    assert line in metrics.render().decode()
    metrics.set_lag([])
    assert "framewire_lag_messages{" not in metrics.render().decode()
