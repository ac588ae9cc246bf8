"""A number of frames that nobody has counted does not look like one that was."""

import pytest
from msgspec import UNSET, UnsetType

from api.contract.tasks import Progress
from console.cli.chunk_counts import total_text


@pytest.mark.parametrize(
    ("total", "estimated", "text"),
    [(120, UNSET, "120"), (120, True, "~120"), (None, UNSET, "?"), (None, True, "?")],
)
def test_an_estimate_is_marked(total: int | None, estimated: bool | UnsetType, text: str) -> None:
    assert total_text(Progress(3, total, 10.0, estimated)) == text
