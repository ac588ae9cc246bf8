"""What every Kafka client is given, and what the roles say of settings that cannot be used."""

import os
import subprocess
import sys

import pytest

from streamproc.clients.kafka import KafkaSettings, client_config
from streamproc.contract import env
from streamproc.contract.setting_error import SettingError

KAFKA = {env.KAFKA: "127.0.0.1:9092"}


def test_options_win_over_what_is_usual_here() -> None:
    options = '{"reconnect.backoff.ms": 7, "security.protocol": "ssl"}'
    config = client_config(KafkaSettings.from_environ({**KAFKA, env.KAFKA_OPTIONS: options}))
    assert config["reconnect.backoff.ms"] == 7
    assert config["security.protocol"] == "ssl"
    assert config["bootstrap.servers"] == "127.0.0.1:9092"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, env.KAFKA),
        ({**KAFKA, env.KAFKA_OPTIONS: "rose"}, env.KAFKA_OPTIONS),
        ({**KAFKA, env.KAFKA_OPTIONS: '["rose"]'}, env.KAFKA_OPTIONS),
    ],
)
def test_a_mistake_names_its_variable_and_not_its_value(
    environ: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingError) as caught:
        client_config(KafkaSettings.from_environ(environ))
    assert named in str(caught.value)
    assert "rose" not in str(caught.value)


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("role", ["worker", "archive", "index", "topics"])
def test_a_role_ends_with_2_and_names_the_variable(role: str) -> None:
    settings = {**KAFKA, env.KAFKA_OPTIONS: "rose", env.CLICKHOUSE: "http://127.0.0.1:9/d"}
    done = subprocess.run(
        [sys.executable, "-m", "streamproc", role],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert env.KAFKA_OPTIONS in done.stderr
    assert "rose" not in done.stderr
