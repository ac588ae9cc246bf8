"""Streams end with their keys, and with no others'."""

from hypothesis import given
from hypothesis import strategies as st

from api.log.key_expiry import KeyExpiry

KEYS = st.sampled_from("abc")


@given(opened=st.lists(KEYS, max_size=8), closed=st.sets(st.integers(0, 7)), dead=st.sets(KEYS))
def test_exactly_the_open_streams_of_dead_keys_are_ended(
    opened: list[str], closed: set[int], dead: set[str]
) -> None:
    ended: list[int] = []
    lives = KeyExpiry(lambda key: key not in dead)
    ends = [lambda i=i: ended.append(i) for i in range(len(opened))]
    for key, end in zip(opened, ends, strict=True):
        lives.add(key, end)
    for i in closed & set(range(len(opened))):
        lives.remove(opened[i], ends[i])
    lives.end_dead()
    assert sorted(ended) == [i for i, key in enumerate(opened) if key in dead and i not in closed]


def test_what_was_removed_twice_or_never_added_does_no_harm() -> None:
    ended: list[str] = []
    lives = KeyExpiry(lambda _: False)
    ends = {name: lambda name=name: ended.append(name) for name in ("never", "twice", "open")}
    lives.remove("a", ends["never"])
    for name in ("twice", "open"):
        lives.add("a", ends[name])
    lives.remove("a", ends["twice"])
    lives.remove("a", ends["twice"])
    lives.end_dead()
    assert ended == ["open"]
