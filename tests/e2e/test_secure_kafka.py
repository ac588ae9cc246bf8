"""A worker on a broker that wants TLS and a login: every one of its clients gets in."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.errors import UnavailableError
from api.kafka.producer import Publisher
from api.settings import Settings
from streamproc.contract import env
from streamproc.embedded_kafka.commands import topics_main
from tests.brokers import N_PARTITIONS, KafkaNode, Listener
from tests.certificates import self_signed
from tests.ports import free_ports
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


def options_of(certificate: Path, **changes: str) -> str:
    return json.dumps(
        {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(certificate),
            "sasl.mechanism": "PLAIN",
            "sasl.username": "worker",
            "sasl.password": "rose-bud",
            **changes,
        }
    )


def test_a_wrong_password_is_said_as_such_before_anything_else_is_tried(
    secured: tuple[KafkaNode, int],
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(env.KAFKA, f"127.0.0.1:{secured[1]}")
    monkeypatch.setenv(env.PARTITIONS, str(N_PARTITIONS))
    wrong = options_of(certificate, **{"sasl.password": "lily"})
    monkeypatch.setenv(env.KAFKA_OPTIONS, wrong)
    started_s = time.monotonic()
    assert topics_main([]) == 1
    assert time.monotonic() - started_s < 10
    said = capfd.readouterr().err
    assert f"refuses the login: sasl.username or sasl.password in {env.KAFKA_OPTIONS}" in said
    assert "lily" not in said
    monkeypatch.setenv(env.KAFKA_OPTIONS, options_of(certificate))
    assert topics_main([]) == 0


def test_the_api_says_what_kafka_refuses(
    secured: tuple[KafkaNode, int], certificate: Path, engines: None
) -> None:
    """As long as it is so: a certificate that is not trusted, a password that is wrong, neither."""

    async def check(options: str) -> str:
        environ = {
            env.KAFKA: f"127.0.0.1:{secured[1]}",
            env.CLICKHOUSE: "chdb:///nowhere",
            env.KAFKA_OPTIONS: options,
        }
        publisher = Publisher(Settings.from_environ(environ))
        try:
            await publisher.check()
        except UnavailableError as exc:
            return exc.detail
        finally:
            await publisher.close()
        return ""

    distrustful = json.loads(options_of(certificate))
    del distrustful["ssl.ca.location"]
    assert "certificate is not trusted" in asyncio.run(check(json.dumps(distrustful)))
    wrong = options_of(certificate, **{"sasl.password": "lily"})
    assert "refuses the login" in asyncio.run(check(wrong))
    assert asyncio.run(check(options_of(certificate))) == ""


def test_a_worker_does_a_task_over_tls_with_a_login(
    secured: tuple[KafkaNode, int], certificate: Path, tmp_path: Path
) -> None:
    kafka, port = secured
    settings = {env.KAFKA: f"127.0.0.1:{port}", env.KAFKA_OPTIONS: options_of(certificate)}
    with workers(kafka, tmp_path, "secured", **settings) as (worker,):
        *frames, terminal = chunks_of(
            submit(kafka, make_spec(CLIP.as_uri(), max_frames=5)).follow()
        )
        assert len(frames) == 5
        assert terminal.finish_reason == "max_frames"
        assert "rose-bud" not in worker.log.read_text()
