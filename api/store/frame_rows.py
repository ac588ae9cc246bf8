"""The targets of one frame, as the index has them."""

from api.store.rows import Rows
from streamproc.contract import tables
from streamproc.contract.frame import Box

_MAX_BOXES = 1000


async def boxes_of_frame(rows: Rows, project: str, task: str, frame: int) -> tuple[Box, ...]:
    """Return the frame's boxes in their chunk's order; none when it is not indexed."""
    found = await rows.query(
        f"""SELECT track_id, class, text, left, top, width, height
        FROM {tables.DETECTIONS} FINAL
        WHERE project = {{project:String}} AND task_id = {{task:String}}
        AND frame = {{frame:UInt64}} ORDER BY det_idx LIMIT {_MAX_BOXES}""",  # noqa: S608 - constants
        {"project": project, "task": task, "frame": frame},
    )
    return tuple(
        Box(track, text or class_name, left, top, width, height)
        for track, class_name, text, left, top, width, height in found
    )
