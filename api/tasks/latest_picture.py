"""The last picture of a live task, as its worker stored it: bytes, age and identity."""

import hashlib
from email.utils import formatdate
from typing import NamedTuple

from api.errors import NotFoundError
from api.store.object_store import Objects
from streamproc.contract.object_keys import PictureInfo, latest_key
from streamproc.contract.stored_request import StoredRequest
from streamproc.contract.timestamps import rfc3339


class Latest(NamedTuple):
    """A JPEG, and the frame that it shows."""

    jpeg: bytes
    info: PictureInfo

    @property
    def etag(self) -> str:
        """The entity tag, in quotes: of the bytes and of the frame."""
        digest = hashlib.sha256(self.jpeg)
        digest.update(repr(self.info.to_metadata()).encode())
        return f'"{digest.hexdigest()[:32]}"'

    @property
    def last_modified(self) -> str:
        return formatdate(self.info.captured_ms // 1000, usegmt=True)

    @property
    def captured_at(self) -> str:
        return rfc3339(self.info.captured_ms)

    def is_known(self, if_none_match: str | None) -> bool:
        """Return whether the client named this picture in `If-None-Match`."""
        tags = (if_none_match or "").split(",")
        return any(tag.strip().removeprefix("W/") in {self.etag, "*"} for tag in tags)


async def latest_picture(objects: Objects, stored: StoredRequest) -> Latest:
    """Read the task's last picture.

    Raises NotFoundError if there is none, StoreUnavailableError while S3 does not answer.
    """
    found = await objects.get_with_metadata(latest_key(stored.project, stored.task))
    try:
        if found is not None:
            return Latest(found.data, PictureInfo.from_metadata(found.metadata))
    except (KeyError, ValueError):  # stored by something else
        pass
    raise NotFoundError("There is no picture of this live source.", code="frame_not_kept")
