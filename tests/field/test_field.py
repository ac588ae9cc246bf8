"""Each awkward file, every way to its frames."""

from pathlib import Path

import pytest

from tests.field.files import FILES
from tests.field.trial import faults

pytestmark = pytest.mark.usefixtures("processes")
RETIMED = {"jitter.ts", "spike.ts", "joined.ts", "joined_open.ts", "joined.mpg"}
"""ffmpeg's own correction of times differs from ours; the pictures do not."""


@pytest.mark.parametrize("name", FILES)
def test_every_way_leads_to_the_frames_of_a_full_decode(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name](tmp_path))
    assert list(faults(path, times_as_told=name not in RETIMED)) == []
