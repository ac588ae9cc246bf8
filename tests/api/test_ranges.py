"""Parts of objects: the short way and the SDK's say the same; what fails goes the SDK's way."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
from botocore.credentials import Credentials

from api.settings import Settings
from api.store.object_store import Objects, StoreUnavailableError
from api.store.ranged_get import RangeReader
from tests.engines import S3Server

BLOB = bytes(range(256)) * 4096
KEY = "p/vt_1/seg/00000000000000000000"


@pytest.fixture(scope="module")
def stored(s3_server: S3Server) -> S3Server:
    s3_server.client().put_object(Bucket=s3_server.bucket, Key=KEY, Body=BLOB)
    return s3_server


def reader(server: S3Server, **changes: str) -> RangeReader:
    found = {"endpoint": server.endpoint, "secret": server.secret_key, **changes}
    return RangeReader(
        f"{found['endpoint']}/{server.bucket}/",
        server.region,
        Credentials(server.access_key, found["secret"]),
        max_parallel=4,
        timeout_s=(1.0, 5.0),
    )


@pytest.fixture(scope="module")
def ranges(stored: S3Server) -> Iterator[RangeReader]:
    found = reader(stored)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (0, len(BLOB)), (7, 700_001), (1048575, 1048576)]
)
def test_part_of_an_object(ranges: RangeReader, start: int, end: int) -> None:
    assert ranges.get(KEY, start, end) == BLOB[start:end]


def test_what_is_no_answer_is_left_to_the_sdk(stored: S3Server, ranges: RangeReader) -> None:
    assert ranges.get("p/vt_1/seg/none", 0, 9) is None
    assert ranges.get(KEY, 0, len(BLOB) + 1) is None, "shorter than asked for"
    for changes in ({"secret": "wrong"}, {"endpoint": "http://127.0.0.1:9"}):
        other = reader(stored, **changes)
        assert other.get(KEY, 0, 9) is None
        other.close()
    anonymous = RangeReader(
        f"{stored.endpoint}/{stored.bucket}/",
        "us-east-1",
        None,
        max_parallel=1,
        timeout_s=(1.0, 1.0),
    )
    assert anonymous.get(KEY, 0, 9) is None
    anonymous.close()


async def test_store_reads_ranges_and_knows_what_is_missing(
    stored: S3Server, settings: Settings
) -> None:
    store = Objects(settings.s3)
    parts = await asyncio.gather(*(store.get_range(KEY, n, n + 1000) for n in range(50)))
    assert parts == [BLOB[n : n + 1000] for n in range(50)]
    assert await store.get_range("p/vt_1/seg/none", 0, 9) is None
    store.close()
    nowhere = msgspec.structs.replace(settings.s3, endpoint="http://127.0.0.1:9")
    away = Objects(nowhere, connect_timeout_s=0.2)
    with pytest.raises(StoreUnavailableError):
        await away.get_range(KEY, 0, 9)
    away.close()
