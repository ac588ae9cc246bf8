"""What a Kafka client hears of is told from a broker that is only away."""

import pytest

from streamproc.clients.kafka_errors import kafka_trouble
from streamproc.contract import env


@pytest.mark.parametrize(
    ("name", "text", "expected", "lasting"),
    [
        ("_AUTHENTICATION", "SASL authentication error: Invalid password", "password", True),
        ("_AUTHENTICATION", "Unsupported SASL mechanism: broker's are", "sasl.mechanism", True),
        ("_SSL", "certificate verify failed: broker certificate", "ssl.ca.location", True),
        ("_SSL", "wrong version number: (a PLAINTEXT broker listener?)", "no TLS", True),
        ("_RESOLVE", "Failed to resolve 'kafka:9092'", env.KAFKA, False),
    ],
)
def test_an_error_of_a_setting_names_it(
    name: str, text: str, expected: str, *, lasting: bool
) -> None:
    trouble = kafka_trouble(name, text)
    assert trouble is not None
    assert expected in trouble.sentence
    assert trouble.lasting is lasting


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("_TRANSPORT", "Connect to ipv4#127.0.0.1:9092 failed: Connection refused"),
        ("_ALL_BROKERS_DOWN", "1/1 brokers are down"),
        ("_SSL", "SSL handshake failed: Disconnected: connection closed by peer"),
    ],
)
def test_a_broker_that_is_away_is_no_error_of_a_setting(name: str, text: str) -> None:
    assert kafka_trouble(name, text) is None
