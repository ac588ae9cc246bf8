"""Preview route: one frame of a task's video as JPEG, or the last picture of a live source."""

import re
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter

from api.contract import paths
from api.errors import InvalidRequestError, NotFoundError
from api.routes.dependencies import TheProject, TheServices
from api.routes.openapi import problems
from api.tasks.latest_picture import Latest, latest_picture
from api.tasks.previews import Frames
from streamproc.contract.object_keys import LATEST
from streamproc.contract.timestamps import rfc3339

MAX_WIDTH_PX = 4096
_NAME = re.compile(r"^(?P<index>[0-9]{1,9})\.jpg$", re.ASCII)


@get(
    f"{paths.TASKS}/{{task_id:str}}/frames/{{name:str}}",
    operation_id="getFrame",
    media_type="image/jpeg",
    responses=problems(400, 403, 404, 410, 422),
)
async def get_frame(
    request: Request[Any, Any, Any],
    services: TheServices,
    state: State,
    project: TheProject,
    task_id: FromPath[str],
    name: FromPath[str],
    boxes: Annotated[int, QueryParameter(name="boxes", ge=0, le=1, required=False)] = 0,
    width: Annotated[
        int | None, QueryParameter(name="width", ge=16, le=MAX_WIDTH_PX, required=False)
    ] = None,
) -> Response[bytes]:
    """Return frame `n` of the task's video as `n.jpg`; `boxes=1` draws the targets found in it.

    `width` limits the width of the picture. `Frame-Width` and `Frame-Height` are the size of the
    source, to which the targets' boxes refer. Of a live source the frame is in its recording, if
    the request had `live.record`; `Frame-Captured-At` says when it was captured.

    `latest.jpg` of a live task is the last picture that its worker stored, as it is: `Frame-Index`,
    `Frame-Captured-At` and `Last-Modified` say of which frame. `If-None-Match` makes it a 304.
    """
    stored = await services.requests.get(project, task_id)
    if name == LATEST and stored.spec.live is not None:
        if boxes or width is not None:
            field = "boxes" if boxes else "width"
            raise InvalidRequestError.at(field, "latest.jpg is given as it was stored")
        found = await latest_picture(services.objects, stored)
        return _answer(found, request.headers.get("if-none-match"))
    match = _NAME.match(name)
    if match is None:
        raise NotFoundError("A frame is named by its number: 0.jpg.", code="frame_not_found")
    frames: Frames = state.frames
    picture = await frames.get(stored, int(match["index"]), width_px=width, with_boxes=bool(boxes))
    headers = {
        "Frame-Width": str(picture.width_px),
        "Frame-Height": str(picture.height_px),
        "Cache-Control": "private, max-age=60",
    }
    if picture.captured_ms is not None:
        headers["Frame-Captured-At"] = rfc3339(picture.captured_ms)
    return Response(picture.jpeg, media_type="image/jpeg", headers=headers)


def _answer(found: Latest, known: str | None) -> Response[bytes]:
    headers = {
        "Frame-Width": str(found.info.width),
        "Frame-Height": str(found.info.height),
        "Frame-Index": str(found.info.frame),
        "Frame-Captured-At": found.captured_at,
        "Last-Modified": found.last_modified,
        "ETag": found.etag,
        "Cache-Control": "private, no-cache",
    }
    if found.is_known(known):
        return Response(b"", status_code=304, media_type="image/jpeg", headers=headers)
    return Response(found.jpeg, media_type="image/jpeg", headers=headers)


HANDLERS = [get_frame]
