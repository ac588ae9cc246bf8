"""What was stored once is read for ever: one file for each format and version, never edited.

`files/<format>.<version>.<kind>` holds the bytes that a version wrote. A change of a format adds
the next version's file and its line in `SHA256SUMS`; no file changes, none goes. Logs of tasks are
in `logs/` (`test_golden_logs`).
"""

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.log import stream_token
from console.config.reader import read_config
from console.config.values import Config
from console.tui.known_names import KNOWN
from models.manifest import load_manifest
from streamproc.contract import (
    audit,
    env,
    lag_history,
    object_keys,
    recordings,
    tables,
    topics,
    worker_history,
)
from streamproc.contract.providers import load_providers
from streamproc.contract.records import Claim
from streamproc.contract.sealing import SealBrokenError, Sealer
from tests.golden import formats, values
from tests.golden.formats import FORMATS, Format

FILES = Path(__file__).parent / "files"
NAMES = Path(__file__).with_name("names.json")
SUMS = Path(__file__).with_name("SHA256SUMS")
_NAME = re.compile(
    r"(?P<format>[a-z_]+)\.(?P<version>[0-9]+)\.(?:msgpack|msgpack\.zst|json|toml|txt|ts|mjpeg)"
)


def versions(name: str) -> list[Path]:
    """Return the format's files, oldest first."""
    found = {
        int(match["version"]): path
        for path in FILES.iterdir()
        if (match := _parts(path))["format"] == name
    }
    assert sorted(found) == list(range(1, len(found) + 1))
    return [found[version] for version in sorted(found)]


def _parts(path: Path) -> re.Match[str]:
    match = _NAME.fullmatch(path.name)
    assert match is not None, path.name
    return match


def lost(before: Any, after: Any, place: str = "") -> list[str]:
    """Return the places at which something of `before` is not in `after`, which may have more."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            one
            for key, value in before.items()
            for one in lost(value, after.get(key, KeyError), f"{place}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [one for n, pair in pairs for one in lost(*pair, f"{place}[{n}]")]
    return [] if before == after and type(before) is type(after) else [place]


def read_and_written(one: Format, data: bytes) -> list[str]:
    """Return what is lost of stored bytes when today's code has read them and writes them."""
    return lost(one.plain(data), one.plain(one.encode(one.decode(data))))


def test_no_file_was_edited_and_none_is_missing() -> None:
    lines = (line.split("  ") for line in SUMS.read_text().splitlines())
    sums = {name: digest for digest, name in lines}
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in FILES.iterdir()}
    assert found == sums


@pytest.mark.parametrize("name", FORMATS)
def test_todays_code_writes_the_newest_file(name: str) -> None:
    newest = versions(name)[-1].read_bytes()
    one = FORMATS[name]
    written = one.encode(one.value)
    assert one.plain(written) == one.plain(newest)
    assert not one.same_bytes or written == newest
    assert one.decode(newest) == one.value


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name in FORMATS for path in versions(name)],
    ids=lambda part: part.name if isinstance(part, Path) else "",
)
def test_todays_code_reads_every_files_every_value(name: str, path: Path) -> None:
    assert read_and_written(FORMATS[name], path.read_bytes()) == []


@pytest.mark.parametrize("field", msgspec.structs.fields(Claim), ids=lambda field: field.name)
def test_a_renamed_wire_name_is_found(field: msgspec.structs.FieldInfo) -> None:
    parts: list[Any] = [
        (one.name, one.type) if one.required else (one.name, one.type, one.default)
        for one in msgspec.structs.fields(Claim)
    ]
    renamed = msgspec.defstruct("Renamed", parts, rename={field.name: f"{field.name}_"})
    one = formats.packed(None, renamed)
    newest = versions("claim")[-1].read_bytes()
    if field.required:
        with pytest.raises(msgspec.ValidationError, match=field.name):
            one.decode(newest)
    else:
        assert read_and_written(one, newest) == [f".{field.name}"]


SECRET = "a secret of the tests"


def test_a_stream_token_of_every_version_opens_its_stream() -> None:
    old, new = (path.read_text() for path in versions("stream_token"))
    for text, key in ((old, None), (new, values.KEY)):
        granted = stream_token.verify(SECRET, text, values.TASK, 1767229199)
        assert granted == stream_token.Grant(values.PROJECT, key)
    assert stream_token.sign(SECRET, values.PROJECT, values.TASK, 1767229200, values.KEY) == new


def test_a_sealed_url_is_opened() -> None:
    (path,) = versions("sealed_url")
    sealer = Sealer("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    url = "https://user:secret@videos.example.com/gate.mp4?token=secret"
    assert sealer.open(values.PROJECT, values.TASK, path.read_bytes()) == url
    with pytest.raises(SealBrokenError):
        sealer.open(values.PROJECT, "vt_other", path.read_bytes())


def plainly(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_a_provider_list_is_read() -> None:
    for path in versions("providers"):
        read = plainly(load_providers(path))
        assert lost(tomllib.loads(path.read_text()), {"provider": read}) == []


def test_a_models_manifest_is_read() -> None:
    for path in versions("manifest"):
        plain = tomllib.loads(path.read_text())
        read = load_manifest(path)
        assert read.directory == path.parent / plain.pop("files_from", ".")
        assert lost(plain, plainly(msgspec.structs.replace(read, directory=None))) == []


def console_config(path: Path, folder: Path) -> Config:
    private = folder / path.name
    private.write_bytes(path.read_bytes())
    private.chmod(0o600)  # it has a key
    return read_config(private, KNOWN)


def test_a_console_config_is_read(tmp_path: Path) -> None:
    for path in versions("console_config"):
        config = console_config(path, tmp_path)
        assert config.faults == ()
        assert lost(tomllib.loads(path.read_text()), plainly(config)) == []


def test_the_newest_console_config_has_every_setting(tmp_path: Path) -> None:
    config = console_config(versions("console_config")[-1], tmp_path)
    made: list[list[msgspec.Struct]] = [
        [msgspec.structs.replace(config, faults=("none",))],
        list(config.views.values()),
        list(config.contexts.values()),
    ]
    for several in made:
        for field in msgspec.structs.fields(several[0]):
            values_of = [getattr(one, field.name) for one in several]
            assert any(value != field.default and value for value in values_of), field.name


def test_every_file_is_of_a_known_format() -> None:
    known = {*FORMATS, "console_config", "manifest", "providers", "sealed_url", "stream_token"}
    assert {_parts(path)["format"] for path in FILES.iterdir()} == known


def names() -> dict[str, Any]:
    return {
        "topics": {policy.name: policy.config for policy in topics.POLICIES},
        "groups": sorted(value for name, value in vars(topics).items() if name.endswith("_GROUP")),
        "objects": [
            object_keys.request_key("p", "t"),
            object_keys.upload_key("p", "t"),
            object_keys.source_key("p", "t"),
            object_keys.final_key("p", "t"),
            object_keys.secret_key("p", "t"),
            object_keys.segment_key("p", "t", 1234),
            object_keys.vectors_key("p", "t", 1234),
            object_keys.expired_key("p", "t"),
            object_keys.live_key("p", "t"),
            object_keys.latest_key("p", "t"),
            recordings.piece_key("p", "t", 1234, 5678, "hevc"),
            recordings.piece_key("p", "t", 1234, 5678, "mjpeg"),
            recordings.start_key("p", "t", 1234, 5678),
        ],
        "columns": {table: list(tables.columns(table)) for table in tables.TABLES}
        | {audit.AUDIT: list(audit.COLUMNS)}
        | {worker_history.WORKER_SAMPLES: list(worker_history.COLUMNS)}
        | {lag_history.LAG_SAMPLES: list(lag_history.COLUMNS)},
        "views": sorted(tables.VIEWS),
        "variables": sorted(
            value for name, value in vars(env).items() if re.fullmatch(r"[A-Z0-9_]+", name)
        ),
    }


def test_names_outside_of_values_stay() -> None:
    """Topics, groups, keys, columns, variables: `names.json` grows, and loses nothing."""
    assert json.loads(NAMES.read_text()) == names()
