"""A worker on a broker that wants TLS and a login: every one of its clients gets in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.contract import env
from tests.brokers import KafkaNode, Listener, free_ports
from tests.certificates import self_signed
from tests.workers import CLIP, chunks_of, make_spec, submit, workers

LOGIN_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"


@pytest.fixture(scope="module")
def certificate(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One PEM file with the key and the self-signed certificate of 127.0.0.1, as Kafka wants it."""
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = self_signed(directory)
    both = directory / "broker.pem"
    both.write_text(key.read_text() + certificate.read_text())
    return both


@pytest.fixture(scope="module")
def secured(
    engines: None, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[KafkaNode, int]]:
    """A broker, and the port of it that lets nobody in without TLS and the right password."""
    (port,) = free_ports(1)
    listener = Listener(
        "SECURE",
        port,
        port,
        "SASL_SSL",
        {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificate),
            "sasl.enabled.mechanisms": "PLAIN",
            "plain.sasl.jaas.config": f'{LOGIN_MODULE} required user_worker="rose-bud";',
        },
    )
    node = KafkaNode(tmp_path_factory.mktemp("kafka"), listener)
    node.start()
    yield node, port
    node.stop()


def test_a_worker_does_a_task_over_tls_with_a_login(
    secured: tuple[KafkaNode, int], certificate: Path, tmp_path: Path
) -> None:
    kafka, port = secured
    options = {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(certificate),
        "sasl.mechanism": "PLAIN",
        "sasl.username": "worker",
        "sasl.password": "rose-bud",
    }
    settings = {env.KAFKA: f"127.0.0.1:{port}", env.KAFKA_OPTIONS: json.dumps(options)}
    with workers(kafka, tmp_path, "secured", **settings) as (worker,):
        *frames, terminal = chunks_of(
            submit(kafka, make_spec(CLIP.as_uri(), max_frames=5)).follow()
        )
        assert len(frames) == 5
        assert terminal.finish_reason == "max_frames"
        assert "rose-bud" not in worker.log.read_text()
