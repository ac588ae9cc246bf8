"""Figures of Tracks and System, computed here from the api's JSON."""

import re
from datetime import datetime
from typing import Any

from console.tui.app import ConsoleApp
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import text_of, until
from tests.console.tui.recorded_api import NOW, Script


def seconds(text: str) -> float:
    """Read a duration back: `15.5s`, `33m01s`, `2h05m`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(
        float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([smhd])", text)
    )


async def test_a_tracks_row_has_the_figures_of_the_answer(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=(200, 60)) as pilot:
        await pilot.press("3")
        listing = console.query_one("#track-list", Listing)
        found: list[dict[str, Any]] = script.answers["tracks"]["data"]
        await until(pilot, lambda: len(listing.rows) == len(found))
        title, *lines = text_of(listing).splitlines()
        starts = {name: title.index(name) for name in ("CONF", "FRAMES", "AGE")}
        for track, line in zip(found, lines[: len(found)], strict=False):
            number, name, dwell, *_ = line.split()
            assert (number, name) == (f"#{track['track_id']}", track["class"])
            assert abs(seconds(dwell) - (track["last_seen_s"] - track["first_seen_s"])) <= 0.5
            confidence = float(line[starts["CONF"] : starts["CONF"] + 4])
            assert abs(confidence - track["best_confidence"]) <= 0.005
            assert int(line[starts["FRAMES"] : starts["FRAMES"] + 6]) == track["frames_seen"]
            age_s = (NOW - datetime.fromisoformat(track["created_at"])).total_seconds()
            assert abs(seconds(line[starts["AGE"] - 4 : starts["AGE"] + 3]) - age_s) <= 1


async def test_the_summary_of_system_has_the_sums_of_what_is_alive(
    console: ConsoleApp, script: Script
) -> None:
    system = script.answers["system"]
    (one,) = system["workers"]
    more = {"busy": 3, "slots": 8, "fps": 12.25, "processed_frames": 7}
    system["workers"] += [
        one | more | {"id": "worker-2"},
        one | more | {"id": "worker-3", "alive": False},
    ]
    alive = [worker for worker in system["workers"] if worker["alive"]]
    async with console.run_test(size=(200, 60)) as pilot:
        await pilot.press("4")
        parts = console.query_one("#system-parts")
        await until(pilot, lambda: f" {len(alive)} workers" in text_of(parts))
        busy, slots = (sum(worker[name] for worker in alive) for name in ("busy", "slots"))
        assert f"{busy}/{slots} slots busy" in text_of(parts)
        (fps,) = re.findall(r"([\d.]+) frames/s", text_of(parts))
        assert abs(float(fps) - sum(worker["fps"] for worker in alive)) <= 0.5
        lag = text_of(console.query_one("#lag"))
        for title, group in (("archive behind", "archive"), ("index behind", "index")):
            behind = sum(p["lag"] or 0 for p in system["lag"] if p["group"].endswith(group))
            (line,) = (line for line in lag.splitlines() if title in line)
            assert str(behind) in line.split()
