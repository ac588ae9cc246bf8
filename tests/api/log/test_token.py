"""Stream tokens: bound to a project and a task, for a while."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.log.token import sign, verify


@given(project=st.text(min_size=1, max_size=30), task=st.text(min_size=1, max_size=30))
def test_a_token_names_its_project_until_it_expires(project: str, task: str) -> None:
    token = sign("secret", project, task, 1000)
    assert verify("secret", token, task, 999.9) == project
    assert verify("secret", token, task, 1000) is None
    assert verify("other", token, task, 1) is None
    assert verify("secret", token, task + "x", 1) is None


@pytest.mark.parametrize(
    "token", ["", "v1", "v1...", "v1.1.a.b", "v2.9.YQ.x", "v1.9.YQ." + "a" * 600]
)
def test_junk_is_no_token(token: str) -> None:
    assert verify("secret", token, "t", 0) is None


def test_no_field_can_be_changed() -> None:
    token = sign("secret", "a", "t", 1000)
    version, expires, project, mac = token.split(".")
    other_mac = mac[:-1] + ("A" if mac[-1] != "A" else "B")
    for changed in (
        f"{version}.9999.{project}.{mac}",
        f"{version}.{expires}.Yg.{mac}",
        f"{version}.{expires}.{project}.{other_mac}",
    ):
        assert verify("secret", changed, "t", 0) is None
