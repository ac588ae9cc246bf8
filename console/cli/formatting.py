"""Values of tables as text."""

from msgspec import UNSET

from api.contract.tasks import TaskResource
from console.tui.drawing.formatting import duration


def share(value: float | None) -> str | None:
    """Format a share of 1 as per cent; None stays None."""
    return None if value is None else f"{value:.0%}"


def frames(task: TaskResource) -> str:
    """Format the processed frames: `30` of a task that has ended, `30/~40` while it runs.

    The second number is how many the request selects, with `~` if the video's length is estimated.
    """
    progress = task.progress
    if task.status == "succeeded" or progress.expected_frames is UNSET:
        return str(progress.processed_frames)
    about = "~" if progress.total_frames_is_estimate is True else ""
    return f"{progress.processed_frames}/{about}{progress.expected_frames}"


def age(seconds: float) -> str:
    """Format an age in its two largest units at most: `42s`, `3m07s`, `2h05m`, `4d`."""
    whole = max(0, round(seconds))
    return f"{whole}s" if whole < 10 else duration(whole)
