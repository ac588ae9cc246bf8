"""A broker that is away does not fill the log; everything else is said."""

import logging

import pytest

from streamproc.clients.log_throttle import RateLimitFilter


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _record(name: str, message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, args, None)


@pytest.mark.parametrize("name", ["librdkafka", "aiokafka.consumer.fetcher", "faust.app", "mode"])
def test_the_same_but_for_its_numbers_is_said_once_in_half_a_minute(name: str) -> None:
    clock = Clock()
    seldom = RateLimitFilter(clock)
    assert seldom.filter(_record(name, "no connection to %s", "127.0.0.1:9092"))
    clock.now_s = 29.9
    assert not seldom.filter(_record(name, "no connection to %s", "127.0.0.1:9093"))
    assert seldom.filter(_record(name, "something else"))
    clock.now_s = 30.0
    assert seldom.filter(_record(name, "no connection to %s", "127.0.0.1:9093"))


def test_our_own_messages_are_all_said() -> None:
    seldom = RateLimitFilter(Clock())
    for name in ("framewire.archive", "root", "modest"):
        assert all(seldom.filter(_record(name, "again")) for _ in range(3))


def test_it_forgets_rather_than_grows() -> None:
    seldom = RateLimitFilter(Clock())
    for number in range(3000):
        seldom.filter(_record("mode", "x" * (number % 100) + chr(97 + number % 26) * 20))
    assert len(seldom._said_s) <= 1000
