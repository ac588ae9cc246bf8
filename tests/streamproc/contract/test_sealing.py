"""Sealed URLs: opened with any of the keys, for the task that they were sealed for."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.contract.sealing import SealBrokenError, Sealer
from streamproc.contract.setting_error import SettingError

OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


@settings(deadline=None)
@given(url=st.text(), project=st.text(), task=st.text())
def test_what_was_sealed_is_opened_again(url: str, project: str, task: str) -> None:
    sealer = Sealer(OLD)
    sealed = sealer.seal(project, task, url)
    assert sealer.open(project, task, sealed) == url
    if len(url) > 8:
        assert url.encode() not in sealed


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    before = Sealer(OLD).seal("p", "t", "u")
    both = Sealer(f"{NEW}, {OLD}")
    assert both.open("p", "t", before) == "u"
    after = both.seal("p", "t", "u")
    assert Sealer(NEW).open("p", "t", after) == "u"
    with pytest.raises(SealBrokenError):
        Sealer(OLD).open("p", "t", after)


@pytest.mark.parametrize("place", [("p", "other"), ("other", "t"), ("pt", "")])
def test_one_tasks_object_opens_in_no_others_place(place: tuple[str, str]) -> None:
    sealer = Sealer(OLD)
    with pytest.raises(SealBrokenError):
        sealer.open(*place, sealer.seal("p", "t", "u"))


@settings(deadline=None)  # OpenSSL is loaded by the first example
@given(junk=st.binary(max_size=200))
def test_junk_does_not_open(junk: bytes) -> None:
    with pytest.raises(SealBrokenError):
        Sealer(OLD).open("p", "t", junk)


@pytest.mark.parametrize(
    "keys",
    [
        "",
        "x",
        "a b c",
        "!" * 44,
        base64.b64encode(bytes(range(16))).decode(),
        f"{OLD},",
        f"{OLD},x",
    ],
    ids=["nothing", "short", "words", "signs", "16-bytes", "end", "second"],
)
def test_what_is_no_key_is_refused_without_being_shown(keys: str) -> None:
    with pytest.raises(SettingError) as caught:
        Sealer(keys)
    assert "FRAMEWIRE_SECRET_KEY" in str(caught.value)
    assert len(keys) < 5 or keys not in str(caught.value)


def test_a_sealer_shows_no_key_and_digests_under_each() -> None:
    sealer = Sealer(f"{NEW},{OLD}")
    assert NEW not in repr(sealer)
    first, second = sealer.digests("ab" * 32)
    assert (second,) == Sealer(OLD).digests("ab" * 32)
    assert first != second != "ab" * 32
