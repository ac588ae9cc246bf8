"""The provider list: read strictly, ordered by hint, then by priority."""

from pathlib import Path

import pytest

from streamproc.contract.providers import LOCAL, load_providers, provider_order
from streamproc.contract.setting_error import SettingError

LIST = """
[[provider]]
name = "second"
priority = 2
kind = "upstream"
url = "https://video.example.com"
models = ["qwen-vl-max"]

[[provider]]
name = "first"
priority = 1

[[provider]]
name = "third"
priority = 3

[[provider]]
name = "fourth"
priority = 4
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "providers.toml"
    file.write_text(LIST)
    return file


def test_without_a_file_this_machine_is_the_only_provider() -> None:
    assert load_providers(None) == (LOCAL,)


@pytest.mark.parametrize(
    ("hint", "order"),
    [
        (None, ("first", "second", "third")),
        ("qwen-vl-max", ("second", "first", "third")),
        ("fourth", ("fourth", "first", "second")),
        ("unknown", ("first", "second", "third")),
    ],
)
def test_a_hint_comes_first_and_at_most_two_retries_follow(
    path: Path, hint: str | None, order: tuple[str, ...]
) -> None:
    assert provider_order(load_providers(path), hint) == order


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[provider]]\nname = 'a'\ncolour = 'red'", "colour"),
        ("[[provider]]\nname = 'a'\n[[provider]]\nname = 'a'", "its own name"),
        ("[[provider]]\nname = 'a'\nkind = 'upstream'", "needs a url"),
        ("provider = []", "needs providers"),
        ("[[provider", "providers.toml"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=says):
        load_providers(file)
