"""A body in pieces is the same request as the body at once, and holds no more than its limits."""

import base64
import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import InvalidRequestError, TooLargeError
from api.http.upload_body import INLINE_BYTES, MAX_JSON_BYTES, BodyReader
from api.tasks.request_parser import ParsedRequest, parse_request
from models.registry import Registry

REGISTRY = Registry()
VIDEO = bytes(range(256)) * 400
TEXT = base64.b64encode(VIDEO).decode()
STEPS = [{"model": "detect"}]
MIB = 1024 * 1024


def body(data: str, **more: Any) -> dict[str, Any]:
    return {"input": [{"type": "video_base64", "data": data}], "steps": STEPS, **more}


def read(data: bytes, piece_bytes: int = 1000, **limits: int) -> BodyReader:
    told = {"max_body_bytes": 100 * MIB, "max_upload_bytes": MIB, **limits}
    reader = BodyReader(**told)
    for at in range(0, len(data), piece_bytes):
        reader.feed(data[at : at + piece_bytes])
    reader.finish()
    return reader


def feed(reader: BodyReader, data: bytes) -> None:
    """Feed the data while it is taken; never more is held than the limits."""
    for at in range(0, len(data), 100_000):
        reader.feed(data[at : at + 100_000])
        assert reader.held_bytes <= MAX_JSON_BYTES + MIB


def parsed(reader: BodyReader) -> ParsedRequest:
    return parse_request(reader.json, REGISTRY, max_upload_bytes=MIB, upload=reader.upload)


def whole(data: bytes) -> ParsedRequest:
    """What the same body is when it is read at once."""
    return parse_request(data, REGISTRY, max_upload_bytes=MIB)


WRITTEN = {
    "plain": json.dumps(body(TEXT)).encode(),
    "data url": json.dumps(body(f"data:video/mp4;base64,{TEXT}")).encode(),
    "slashes escaped": json.dumps(body(TEXT)).replace("/", "\\/").encode(),
    "in lines": json.dumps(body(base64.encodebytes(VIDEO).decode())).encode(),
    "escaped by number": json.dumps(body(TEXT)).replace("/", "\\u002f").encode(),
    "steps first": json.dumps(dict(reversed(body(TEXT, model="m").items()))).encode(),
    "padded": json.dumps(body(base64.b64encode(VIDEO + b"1").decode())).encode(),
    "quotes around it": json.dumps(body(TEXT, model='"\\"')).encode(),
}


@pytest.mark.parametrize("piece_bytes", [97, 4096, 10**9])
@pytest.mark.parametrize("data", WRITTEN.values(), ids=WRITTEN)
def test_a_body_in_pieces_is_the_same_request(data: bytes, piece_bytes: int) -> None:
    reader = read(data, piece_bytes)
    assert len(reader.json) < INLINE_BYTES
    found, at_once = parsed(reader), whole(data)
    assert found.upload == at_once.upload
    assert found.body_sha256 == at_once.body_sha256
    assert found.spec == at_once.spec
    assert found.with_task_id("p", "t") == at_once.with_task_id("p", "t")


@settings(deadline=None, max_examples=25)
@given(
    cuts=st.lists(st.integers(0, 140_000), max_size=12),
    way=st.sampled_from(sorted(WRITTEN)),
)
def test_no_cut_changes_the_request(cuts: list[int], way: str) -> None:
    data = WRITTEN[way]
    reader = BodyReader(max_body_bytes=MIB, max_upload_bytes=MIB)
    places = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    for begin, end in itertools.pairwise(places):
        reader.feed(data[begin:end])
    reader.finish()
    assert reader.upload is not None
    assert bytes(reader.upload.video) == whole(data).upload
    assert parsed(reader).body_sha256 == whole(data).body_sha256


FAULTS = {
    "not base64": (TEXT[:70_000] + "!" + TEXT[70_000:], "is not base64"),
    "padding in the middle": (TEXT[:80_000] + "====" + TEXT[80_000:], "is not base64"),
    "text behind the padding": (base64.b64encode(VIDEO + b"1").decode() + TEXT, "is not base64"),
    "cut": (TEXT[:-1], "is not base64"),
    "not ASCII": (TEXT[:-4] + "éàèù", "is not base64"),
    "a control character": (TEXT[:-4] + "\0AAA", "is not base64"),
    "half a pair": (TEXT + "\ud83d", "is not base64"),
    "another coding": (f"data:video/mp4,{TEXT}", "must hold base64"),
    "nothing": ("\r\n" * INLINE_BYTES, "is empty"),
}


@pytest.mark.parametrize("piece_bytes", [1009, 10**9])
@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_text_is_named(text: str, message: str, piece_bytes: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parsed(read(json.dumps(body(text)).encode(), piece_bytes))
    (error,) = caught.value.errors
    assert error["field"] == "input[0].data"
    assert message in error["message"]


LONG = "a" * (INLINE_BYTES + 1)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (body("AAAA", model=LONG), "model"),
        ({"input": [{"type": "video_url", "url": LONG}], "steps": STEPS}, "input[0].url"),
        ({"input": [{"type": "video_url", "url": "http://x"}], "steps": [{"model": LONG}]},
         "steps[0].model"),
        (body("AAAA", **{LONG: 1}), None),
        (body("AAAA", steps=[{"model": "detect", "parameters": {"classes": [LONG]}}]), None),
        (body("AAAA", steps=[{"model": "detect", "parameters": {LONG: 1}}]), None),
        (body("AAAA", steps=[{"model": "detect"}, {"model": "ocr", "when": {"class_is": [LONG]}}]),
         None),
    ],
)  # fmt: skip
def test_a_long_text_in_another_place_is_refused(value: Any, field: str | None) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parsed(read(json.dumps(value).encode()))
    if field is not None:
        assert [error["field"] for error in caught.value.errors] == [field]
    assert len(caught.value.detail) < 1000


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b"[]," * MIB,
        b'{"a":' + b"{}," * MIB,
        b"[" + b'"x",' * MIB,
        b"[" * 2 * MIB,
        b"1" * 2 * MIB,
        b" " * 2 * MIB,
        b"[" + (b'"%b",' % (b"A" * 800_000)) * 3,
        b'{"' + b"\\u0041" * 100 + b'":"' + b"A" * MIB + b'","' + b"B" * 2 * MIB,
    ],
)
def test_what_is_no_video_is_refused_once_it_is_large(data: bytes) -> None:
    """And never more of it is held than that."""
    reader = BodyReader(max_body_bytes=100 * MIB, max_upload_bytes=MIB)
    with pytest.raises(TooLargeError) as caught:
        feed(reader, data)
    assert caught.value.extra["limit_bytes"] == MAX_JSON_BYTES


def test_a_video_above_the_limit_is_refused_before_it_is_whole() -> None:
    data = json.dumps(body("A" * 4 * MIB)).encode()
    reader = BodyReader(max_body_bytes=100 * MIB, max_upload_bytes=MIB)
    with pytest.raises(TooLargeError) as caught:
        feed(reader, data)
    assert caught.value.extra["limit_bytes"] == MIB
    assert reader.read_bytes < 2 * MIB


def test_a_body_above_the_limit_is_refused() -> None:
    with pytest.raises(TooLargeError):
        read(b" " * 1001, max_body_bytes=1000)


@settings(deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode()))
def test_what_is_small_is_kept_as_it_is(data: bytes) -> None:
    reader = read(data, 3)
    assert bytes(reader.json) == data
    assert reader.upload is None


def test_the_hash_is_that_of_the_sorted_request() -> None:
    """A client that repeats its request over another version of the server finds its task."""
    import hashlib

    value = body(TEXT, model="m")
    sorted_json = msgspec.json.encode(value, order="sorted")
    found = parsed(read(json.dumps(value).encode()))
    assert found.body_sha256 == hashlib.sha256(sorted_json).hexdigest()
