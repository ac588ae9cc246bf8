"""Partitions: ours must be Kafka's, or a task's records part ways."""

import pytest

from streamproc.contract.topics import partition_of


# From org.apache.kafka.common.utils.UtilsTest#testMurmur2.
@pytest.mark.parametrize(
    ("key", "hash_value"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_partition_follows_kafkas_murmur2(key: bytes, hash_value: int) -> None:
    assert partition_of(key, 1000) == (hash_value & 0x7FFFFFFF) % 1000
