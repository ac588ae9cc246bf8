"""`python -m streamproc topics`: a setting that cannot be used is named."""

import pytest

from streamproc.contract import env
from streamproc.embedded_kafka.commands import topics_main
from tests.brokers import KafkaNode


@pytest.mark.parametrize("value", ["0", "-3", "many"])
def test_a_count_that_is_none_is_named(
    kafka: KafkaNode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    value: str,
) -> None:
    monkeypatch.setenv(env.KAFKA, kafka.bootstrap)
    monkeypatch.setenv(env.PARTITIONS, value)
    assert topics_main([]) == 1
    assert capsys.readouterr().err == f"{env.PARTITIONS} must be a whole number from 1 on\n"


def test_kafka_has_to_be_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(env.KAFKA, raising=False)
    assert topics_main([]) == 2
    assert env.KAFKA in capsys.readouterr().err
