"""A bucket is made where it is missing, and every reason why it cannot be used has its sentence."""

import itertools
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from console.stack import bucket as spec_codes
from streamproc.clients import bucket_setup
from streamproc.clients.bucket_setup import EXIT_AWAY, READY_KEY, main, make_ready_within
from streamproc.clients.conditional_writes import REFUSAL, honours_conditions
from streamproc.clients.s3 import host_of, open_client, open_session
from streamproc.clients.s3_errors import Trouble
from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings
from tests.certificates import self_signed
from tests.engines import S3Server
from tests.foreign_s3 import Application, deaf, moto, served
from tests.ports import free_ports

TRIED = {env.S3_TRIED: "0"}


def settings_of(server: S3Server, **changes: Any) -> StoreSettings:
    return msgspec.structs.replace(
        StoreSettings.from_environ(server.environ | TRIED), tried=False, **changes
    )


def trouble_with(settings: StoreSettings) -> Trouble | None:
    client = open_client(
        settings,
        connect_timeout=1,
        read_timeout=10,
        retries={"total_max_attempts": 1},
        max_pool_connections=8,
    )
    try:
        return make_ready_within(client, settings, 0.0)
    finally:
        client.close()


def test_a_missing_bucket_is_made_and_the_second_time_nothing_is(foreign_s3: S3Server) -> None:
    for _ in range(2):
        assert trouble_with(settings_of(foreign_s3)) is None
    found = foreign_s3.client().list_objects_v2(Bucket=foreign_s3.bucket)
    assert [item["Key"] for item in found["Contents"]] == [READY_KEY]


def test_a_store_that_asks_for_the_buckets_region_is_told_it(foreign_s3: S3Server) -> None:
    settings = settings_of(foreign_s3, region="eu-west-1")
    assert trouble_with(settings) is None
    place = open_client(settings).get_bucket_location(Bucket=settings.bucket)
    assert place["LocationConstraint"] == "eu-west-1"


def test_a_real_s3_names_what_is_wrong_with_a_key(new_bucket: Callable[[], S3Server]) -> None:
    server = new_bucket()
    wrong = {
        "access key": {"key": "nobody"},
        "secret key is wrong": {"secret": "another"},
        "may not do this": {"key": server.reader.access_key},
        "no such bucket, and the key may not make one": {
            "key": server.reader.access_key,
            "bucket": "framewire-not-there",
        },
    }
    said = {
        expected: trouble_with(settings_of(server, **changes))
        for expected, changes in wrong.items()
    }
    for expected, trouble in said.items():
        assert trouble is not None
        assert expected in trouble.sentence
        assert trouble.lasting
    assert trouble_with(settings_of(server)) is None


def answering(status: str, body: str, headers: dict[str, str] | None = None) -> Application:
    """Return a store that has one answer for everything, as S3 servers were seen to give it."""

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        data = b"" if is_head else body.encode()
        start(status, [("Content-Type", "application/xml"), *(headers or {}).items()])
        return [data]

    return application


def error(code: str, more: str = "") -> str:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message>{more}</Error>"


@pytest.mark.parametrize(
    ("status", "body", "expected", "lasting"),
    [
        (
            "400 Bad Request",
            error("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            "region, which is eu-west-1: see AWS_REGION",
            True,
        ),
        ("403 Forbidden", error("RequestTimeTooSkewed"), "clock", False),
        ("400 Bad Request", error("ExpiredToken"), "AWS_SESSION_TOKEN", True),
        ("503 Slow Down", error("SlowDown"), "it answers 503", False),
        ("403 Forbidden", error("AccessDenied"), "denies access", True),
    ],
)
def test_what_s3_refuses_is_said_in_a_sentence(
    status: str, body: str, expected: str, *, lasting: bool
) -> None:
    with served(answering(status, body)) as server:
        trouble = trouble_with(settings_of(server))
    assert trouble is not None
    assert expected in trouble.sentence
    assert trouble.lasting is lasting


def test_a_store_that_is_not_there_is_told_from_one_that_is_silent() -> None:
    (port,) = free_ports(1)
    server = S3Server(f"http://127.0.0.1:{port}", "key", "secret", "framewire-tests")
    refused = trouble_with(settings_of(server))
    assert refused == Trouble("S3 refuses the connection: nothing listens there.", lasting=False)
    nowhere = trouble_with(settings_of(server._replace(endpoint="http://nowhere.invalid:9")))
    assert nowhere is not None
    assert "no address" in nowhere.sentence
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client = open_client(
            settings_of(server._replace(endpoint=endpoint)),
            connect_timeout=0.2,
            read_timeout=0.2,
            retries={"total_max_attempts": 1},
        )
        silent = make_ready_within(client, settings_of(server), 0.0)
        client.close()
    assert silent == Trouble("S3 does not answer in time.", lasting=False)


def test_certificates_are_checked_by_the_bundle_and_named_when_they_fail(
    processes: None, engines: None, tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    stranger, _ = self_signed(other)
    with served(moto(), tls=(str(certificate), str(key))) as server:
        assert trouble_with(settings_of(server, ca_bundle=str(certificate))) is None
        for bundle in (None, str(stranger)):
            trouble = trouble_with(settings_of(server, ca_bundle=bundle))
            assert trouble is not None
            assert "not trusted: AWS_CA_BUNDLE" in trouble.sentence
            assert trouble.lasting
        by_name = server._replace(endpoint=server.endpoint.replace("127.0.0.1", "localhost"))
        trouble = trouble_with(settings_of(by_name, ca_bundle=str(certificate)))
        assert trouble is not None
        assert "another host's" in trouble.sentence
    with served(moto()) as plain:
        endpoint = plain.endpoint.replace("http:", "https:")
        trouble = trouble_with(settings_of(plain._replace(endpoint=endpoint)))
        assert trouble is not None
        assert "no TLS on its port" in trouble.sentence


def test_a_store_that_ignores_if_none_match_is_refused_unless_that_is_known(
    engines: None,
) -> None:
    with served(deaf(moto())) as server:
        assert trouble_with(settings_of(server)) == Trouble(REFUSAL, lasting=True)
        assert trouble_with(settings_of(server, unconditional=True)) is None
        found = server.client().list_objects_v2(Bucket=server.bucket)
        assert [item["Key"] for item in found["Contents"]] == [READY_KEY], "nothing is left behind"


def test_a_store_that_knows_no_conditions_is_refused_unless_that_is_known(engines: None) -> None:
    """It takes no such request at all, so there is never more than one winner."""
    store = moto()

    def strict(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_IF_NONE_MATCH" in environ:
            return answering("501 Not Implemented", error("NotImplemented"))(environ, start)
        return store(environ, start)

    with served(strict) as server:
        assert trouble_with(settings_of(server)) == Trouble(REFUSAL, lasting=True)
        assert trouble_with(settings_of(server, unconditional=True)) is None


def test_a_store_that_is_busy_now_and_then_is_not_refused(foreign_s3: S3Server) -> None:
    """Every second request is a 503 until the trial is over: it says nothing of conditions."""
    store, count = moto(), itertools.count()

    def busy(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_IF_NONE_MATCH" in environ and next(count) % 2 == 0:
            return answering("503 Slow Down", error("SlowDown"))(environ, start)
        return store(environ, start)

    assert trouble_with(settings_of(foreign_s3)) is None
    with served(busy, bucket=foreign_s3.bucket) as server:
        assert trouble_with(settings_of(server)) is None
        assert next(count) > 4
    with served(answering("503 Slow Down", error("SlowDown"))) as server:
        client = open_client(settings_of(server), retries={"total_max_attempts": 1})
        with pytest.raises(ClientError, match="SlowDown"):
            honours_conditions(client, server.bucket)
        client.close()


def test_a_store_that_decides_only_one_after_the_other_is_refused(engines: None) -> None:
    with served(hasty(moto())) as server:
        assert trouble_with(settings_of(server)) == Trouble(REFUSAL, lasting=True)


def hasty(application: Application) -> Application:
    """Return a store that decides between writers one after the other, and not at once.

    Which ones come at once is not left to the clock: the first key is written alone.
    """
    alone: list[str] = []

    def other(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_IF_NONE_MATCH" in environ:
            alone.append(environ["PATH_INFO"])
            if environ["PATH_INFO"] != alone[0]:
                environ.pop("HTTP_IF_NONE_MATCH")
        return application(environ, start)

    return other


def test_the_command_says_what_is_wrong_and_whether_it_may_pass(
    foreign_s3: S3Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in (foreign_s3.environ | TRIED).items():
        monkeypatch.setenv(name, value)
    assert main([]) == 0
    monkeypatch.setenv(env.S3_ENDPOINT, "http://127.0.0.1:9")
    assert main(["--wait", "0"]) == EXIT_AWAY == spec_codes.EXIT_AWAY
    assert "refuses the connection" in capfd.readouterr().err
    monkeypatch.setenv(env.S3_ADDRESSING, "sideways")
    assert main([]) == 2
    assert env.S3_ADDRESSING in capfd.readouterr().err


def test_the_command_tells_a_store_that_is_unfit_from_a_key_that_is_wrong(
    new_bucket: Callable[[], S3Server],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    known = new_bucket()
    for name, value in (known._replace(secret_key="another").environ | TRIED).items():
        monkeypatch.setenv(name, value)
    assert main(["--wait", "0"]) == bucket_setup.EXIT_REFUSED
    assert env.S3_SECRET in capfd.readouterr().err
    with served(deaf(moto())) as server:
        for name, value in (server.environ | TRIED).items():
            monkeypatch.setenv(name, value)
        assert main(["--wait", "0"]) == bucket_setup.EXIT_UNFIT == spec_codes.EXIT_UNFIT
    assert env.S3_UNCONDITIONAL in capfd.readouterr().err


def test_every_part_of_the_configuration_comes_from_the_environment(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    given = {
        env.S3_ENDPOINT: "https://S3.Example:9",
        env.S3_BUCKET: "videos",
        env.S3_KEY: "k",
        env.S3_SECRET: "s",
        env.S3_SESSION_TOKEN: "t",
        env.S3_DEFAULT_REGION: "eu-west-1",
        env.S3_CA_BUNDLE: str(bundle),
        env.S3_ADDRESSING: "virtual",
        env.S3_UNCONDITIONAL: "1",
    }
    settings = StoreSettings.from_environ(given)
    assert StoreSettings.from_environ(settings.to_environ()) == settings
    assert settings.region == "eu-west-1"
    assert "s" not in repr(settings).replace("settings", "").split("'")
    bad = {
        env.S3_CA_BUNDLE: "/nowhere.pem",
        env.S3_SECRET: "",
        env.S3_ADDRESSING: "x",
        env.S3_ENDPOINT: "s3.example:9",
    }
    for name, value in bad.items():
        with pytest.raises(SettingError, match=name):
            open_client(StoreSettings.from_environ(given | {name: value}))
    profile = {env.S3_KEY: "", env.S3_SECRET: "", env.S3_PROFILE: "nobody-has-this"}
    with pytest.raises(SettingError, match=env.S3_PROFILE):
        open_client(StoreSettings.from_environ(given | profile))


def test_keys_of_a_profile_are_used_where_none_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(
        "[videos]\naws_access_key_id = of-profile\naws_secret_access_key = s\n"
        "aws_session_token = t\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    settings = StoreSettings.from_environ({env.S3_PROFILE: "videos", env.S3_ENDPOINT: "http://h:9"})
    found = open_session(settings).get_credentials().get_frozen_credentials()
    assert (found.access_key, found.token) == ("of-profile", "t")
    both = msgspec.structs.replace(settings, key="own", secret="s")
    assert open_session(both).get_credentials().get_frozen_credentials().access_key == "own"


@pytest.mark.parametrize(
    ("addressing", "expected"), [("path", "s3.example:9"), ("virtual", "videos.s3.example:9")]
)
def test_the_host_of_objects_is_in_lower_case_and_as_they_are_addressed(
    addressing: Any, expected: str
) -> None:
    settings = StoreSettings("https://S3.Example:9", "videos", "k", "s", addressing=addressing)
    assert host_of(open_client(settings), "videos") == expected
