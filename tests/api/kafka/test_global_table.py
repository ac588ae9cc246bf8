"""Keys in the directory: what was once ended stays ended, whatever comes by afterwards."""

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from api.ids import key_id
from api.kafka.global_table import GlobalTable, end_key, key_key, project_key, use_key
from streamproc.contract.records import KeyEnd, KeyUse, Project, ProjectKey
from streamproc.contract.topics import PROJECTS

HASH = "ab" * 32
MADE = ProjectKey(HASH, "p", "", "fw_", 1, expires_ms=900)


def fed(*records: tuple[str, object]) -> GlobalTable:
    directory = GlobalTable()
    directory.apply(PROJECTS, project_key("p"), msgspec.msgpack.encode(Project("p", "", 1)))
    for key, record in records:
        directory.apply(PROJECTS, key, msgspec.msgpack.encode(record))
    return directory


@given(
    ends=st.lists(st.integers(0, 2000), max_size=4),
    revoked=st.booleans(),
    order=st.randoms(),
    now_ms=st.integers(0, 2000),
)
def test_a_key_ends_at_the_first_of_its_ends_in_whatever_order_they_come(
    ends: list[int], revoked: bool, order: Random, now_ms: int
) -> None:
    records: list[tuple[str, KeyEnd | ProjectKey]] = [
        (end_key(HASH), KeyEnd(HASH, ms)) for ms in ends
    ]
    records += [(key_key(HASH), MADE)]
    records += [(key_key(HASH), msgspec.structs.replace(MADE, revoked=True))] if revoked else []
    order.shuffle(records)
    directory = fed(*records)
    alive = not revoked and now_ms < min([900, *ends])
    assert (directory.key_of(HASH, now_ms) is not None) == alive
    assert (directory.key_by_id(key_id(HASH), now_ms) is not None) == alive
    assert directory.has_heard_of(key_id(HASH))


def test_a_key_of_before_has_no_scopes_and_no_end() -> None:
    old = {"hash": HASH, "project": "p", "name": "n", "prefix": "fw_", "created_ms": 1}
    directory = fed((key_key(HASH), old))
    found = directory.key_of(HASH, 10**15)
    assert found is not None
    assert (found.scopes, directory.ends_ms(found), directory.replaced_by(found)) == (None,) * 3


@given(uses=st.lists(st.integers(0, 100), min_size=1))
def test_the_last_use_is_the_latest_that_was_told(uses: list[int]) -> None:
    directory = fed(*((use_key(HASH), KeyUse(HASH, ms)) for ms in uses))
    assert directory.used_ms(HASH, None) == max(uses)
    assert directory.used_ms("other", None) is None


@given(st.permutations(range(5)))
def test_of_a_project_s_records_the_newest_counts_in_whatever_order_they_come(
    order: list[int],
) -> None:
    directory = GlobalTable()
    for i in order:
        record = Project("p", f"name {i}", 1)
        directory.apply(PROJECTS, project_key("p"), msgspec.msgpack.encode(record), offset=i)
    assert directory.projects["p"].name == "name 4"
    directory.read_again()  # a broker that begins anew
    record = Project("p", "anew", 1)
    directory.apply(PROJECTS, project_key("p"), msgspec.msgpack.encode(record), offset=0)
    assert directory.projects["p"].name == "anew"
