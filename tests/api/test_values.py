"""Ids, cursors, times, settings: pure values."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import BadRequestError, InvalidRequestError
from api.http.pagination import TaskCursor, TrackCursor, decode_cursor, encode_cursor
from api.ids import DAY_MS, derived_task_ids, is_task_id, new_task_id
from api.settings import Settings
from api.timestamps import parse_time_ms
from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.contract.tables import created_ms_of
from streamproc.contract.timestamps import rfc3339

TIMES_MS = st.integers(0, 253_402_300_799_999)


@given(TIMES_MS)
def test_task_id_holds_its_time(now_ms: int) -> None:
    task = new_task_id(now_ms)
    assert is_task_id(task)
    assert created_ms_of(task) == now_ms


def test_ids_sort_by_time_and_differ() -> None:
    ids = [new_task_id(1_700_000_000_000 + n) for n in range(100)]
    assert ids == sorted(ids)
    assert len({new_task_id(5) for _ in range(1000)}) == 1000


def test_derived_ids_are_the_same_everywhere_and_change_by_day_project_and_key() -> None:
    now_ms = 20_000 * DAY_MS + 5
    today, yesterday = derived_task_ids("p", "k", now_ms)
    assert derived_task_ids("p", "k", now_ms + 1000) == (today, yesterday)
    assert derived_task_ids("p", "k", now_ms + DAY_MS)[1] == today
    assert len({today, yesterday, *derived_task_ids("q", "k", now_ms)}) == 4
    assert not set(derived_task_ids("p", "l", now_ms)) & {today, yesterday}
    assert is_task_id(today)
    assert created_ms_of(today) == 20_000 * DAY_MS


@pytest.mark.parametrize("text", ["", "vt_", "vt_" + "I" * 26, "vt_8" + "0" * 25, "../x", "vt_a"])
def test_other_text_is_no_task_id(text: str) -> None:
    assert not is_task_id(text)


@given(TIMES_MS, st.text(min_size=1, max_size=40))
def test_cursor_comes_back(created_ms: int, task: str) -> None:
    cursor = TaskCursor(created_ms, task)
    assert decode_cursor(encode_cursor(cursor), TaskCursor) == cursor


@given(
    st.text(max_size=60)
    | st.binary(max_size=40).map(lambda b: base64.urlsafe_b64encode(b).decode())
)
def test_foreign_cursor_is_400(text: str) -> None:
    try:
        cursor = decode_cursor(text, TaskCursor)
    except BadRequestError as problem:
        assert problem.code == "bad_cursor"  # noqa: PT017 - either outcome is right
    else:
        assert encode_cursor(cursor) == text


def test_cursor_of_another_list_is_400() -> None:
    text = encode_cursor(TrackCursor(0.5, 1, "vt", 2))
    with pytest.raises(BadRequestError):
        decode_cursor(text, TaskCursor)


@pytest.mark.parametrize(
    "forged",
    [
        ["k", 0.5, 1, "vt_a", -1],
        ["k", 0.5, 1, "vt_a", 2**32],
        ["k", 0.5, -(2**63), "vt_a", 1],
        ["k", 0.5, 2**63, "vt_a", 1],
        ["k", 0.5, 1, "x" * 1000, 1],
        ["k", 0.5, 1, "vt_a", 1, [[[]]] * 200],
    ],
)
def test_a_forged_cursor_with_a_number_out_of_range_is_400(forged: list[object]) -> None:
    text = base64.urlsafe_b64encode(msgspec.msgpack.encode(forged)).rstrip(b"=").decode()
    with pytest.raises(BadRequestError) as caught:
        decode_cursor(text, TrackCursor)
    assert caught.value.code == "bad_cursor"


def test_a_cursor_that_is_nested_beyond_all_depth_is_400() -> None:
    forged = base64.urlsafe_b64encode(b"\x92\xa1t" + b"\x91" * 60_000).rstrip(b"=").decode()
    with pytest.raises(BadRequestError):
        decode_cursor(forged, TaskCursor)


@given(TIMES_MS)
def test_times_come_back(time_ms: int) -> None:
    assert parse_time_ms(rfc3339(time_ms), "from") == time_ms
    assert parse_time_ms(str(time_ms), "from") == time_ms


def test_times_are_read_in_any_zone() -> None:
    assert rfc3339(1_769_860_800_250) == "2026-01-31T12:00:00.250Z"
    assert parse_time_ms("2026-01-31T13:00:00.25+01:00", "to") == 1_769_860_800_250


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "-5", "1e3"]
)
def test_time_without_zone_or_sense_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_time_ms(text, "from")
    assert caught.value.errors[0]["field"] == "from"


ENVIRON = {env.KAFKA: "k:9092", env.CLICKHOUSE: "https://u:very-secret@h:8443/db"}


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environ({**ENVIRON, env.PORT: "0", env.INDEX_IN_API: "1"})
    assert (settings.kafka, settings.port, settings.index_in_api) == ("k:9092", 0, True)


def test_secrets_do_not_show() -> None:
    secrets = {env.S3_SECRET: "s3-secret", env.ADMIN_KEY: "adm", env.TOKEN_SECRET: "tok-secret"}
    options = {env.KAFKA_OPTIONS: '{"sasl.password": "sasl-secret"}'}
    shown = repr(Settings.from_environ({**ENVIRON, **secrets, **options}))
    for secret in ("very-secret", "s3-secret", "'adm'", "tok-secret", "sasl-secret"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({env.KAFKA: ""}, env.KAFKA),
        ({env.PORT: "http"}, env.PORT),
        ({env.KAFKA_OPTIONS: "[]"}, env.KAFKA_OPTIONS),
        ({env.KAFKA_OPTIONS: "{"}, env.KAFKA_OPTIONS),
    ],
)
def test_unusable_variable_is_named(changes: dict[str, str], name: str) -> None:
    with pytest.raises(SettingError, match=name):
        Settings.from_environ({**ENVIRON, **changes})


def test_settings_are_frozen() -> None:
    settings = Settings.from_environ(ENVIRON)
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc] # what is refused
    assert msgspec.structs.replace(settings, port=1).port == 1
