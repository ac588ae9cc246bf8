"""The script that makes the documents' pictures: what it makes, and that it still can."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SIZES = {"80x24", "120x36", "200x60"}


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """Return the names of the script."""
    return runpy.run_path(str(ROOT / "docs" / "screenshots.py"))


def test_the_documents_pictures_are_those_of_the_script(script: dict[str, Any]) -> None:
    made = {picture.path for picture in script["pictures"]([], None)}
    text = "".join(path.read_text() for path in (ROOT / "README.md", ROOT / "docs/console.md"))
    shown = set(re.findall(r"images/(console-\w+\.png)", text))
    there = {path.name for path in (ROOT / "docs/images").glob("console-*.png")}
    assert {path.name for path in made} == there
    assert shown <= there


def test_all_are_made_in_all_sizes_and_both_themes(script: dict[str, Any]) -> None:
    wanted = script["pictures"]([], Path("folder"))
    names = {picture.path.stem for picture in wanted}
    assert names == {
        f"console-{name}-{size}-{theme}"
        for name in script["SHOTS"]
        for size in SIZES
        for theme in ("dark", "light")
    }
    assert len(wanted) == len(names)
    one = next(p for p in wanted if p.path.name == "console-live-200x60-light.png")
    assert (one.size, one.theme, one.path.parent.name) == ((200, 60), "framewire-light", "folder")


@pytest.mark.usefixtures("screens")
async def test_a_picture_is_taken_of_the_recorded_api(script: dict[str, Any]) -> None:
    (wanted,) = (
        picture
        for picture in script["pictures"](["tasks"], Path("folder"))
        if picture.path.name == "console-tasks-80x24-light.png"
    )
    with script["an_api"](recorded=True) as api:
        svg = await script["take"](wanted, api)
    assert not re.search(r">\s*\d+d\s*<", svg)  # ages are those of the recording
    assert "pedestrians.mp4" in svg
    assert "framewire&#160;console" in svg or "framewire console" in svg
    rows = {float(y) for y in re.findall(r'<text [^>]*y="([\d.]+)"', svg)}
    assert 20 <= len(rows) <= 25  # lines of the terminal, and the window's title


def test_an_unknown_name_is_told(
    script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        script["main"](["taks"])
    assert "there are tasks, live" in capsys.readouterr().err


def test_of_a_run_of_the_demo_the_middle_of_the_chunks_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.path", sys.path.copy())
    script = runpy.run_path(str(ROOT / "docs" / "demo_picture.py"))
    chunks = [f"frame {number}" for number in range(60)]
    printed = "\n".join(
        ["framewire: task vt_1", "  note: x", *chunks, "", "TRACK CLASS", "framewire: done", ""]
    )
    found = script["shortened"](printed)
    assert found[:7] == ["framewire: task vt_1", *chunks[:6]]
    assert found[7].endswith("⋮  50 chunks are left out of this picture")
    assert found[8:] == [*chunks[-4:], "", "TRACK CLASS", "framewire: done"]
    assert script["shortened"]("frame 1\nframe 2\n") == ["frame 1", "frame 2"]
    svg = script["as_svg"](found)
    assert svg.count("<text") > 12
    assert "frame&#160;59" in svg
