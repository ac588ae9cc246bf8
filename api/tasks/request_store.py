"""Request store: requests in S3 with an LRU cache; they never change."""

from cachetools import LRUCache

from api.errors import NotFoundError
from api.ids import is_task_id
from api.store.object_store import Objects
from streamproc.contract.object_keys import request_key
from streamproc.contract.stored_request import (
    StoredRequest,
    decode_stored_request,
    encode_stored_request,
)

MAX_KNOWN = 4096
MAX_KNOWN_BYTES = 64 * 1024


class Requests:
    """The requests of all tasks. Missing ones are not cached: each call queries S3 again."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known: LRUCache[tuple[str, str], StoredRequest] = LRUCache(MAX_KNOWN)

    async def get(self, project: str, task: str) -> StoredRequest:
        """Return the task's request.

        Raises the same NotFoundError for an unknown task and for another project's task.
        """
        found = await self.find(project, task)
        if found is None:
            raise NotFoundError
        return found

    async def find(self, project: str, task: str) -> StoredRequest | None:
        """Return the request of the project's task with this id, None if there is none."""
        known = self._known.get((project, task))
        if known is not None:
            return known
        if not is_task_id(task):
            return None
        data = await self._objects.get(request_key(project, task))
        if data is None:
            return None
        stored = decode_stored_request(data)
        self._remember(stored, len(data))
        return stored

    async def add(self, stored: StoredRequest) -> StoredRequest:
        """Store the request unless its task exists; return the request that is stored now."""
        key = request_key(stored.project, stored.task)
        data = encode_stored_request(stored)
        if await self._objects.put_if_absent(key, data, "application/json"):
            self._remember(stored, len(data))
            return stored
        return await self.get(stored.project, stored.task)

    def _remember(self, stored: StoredRequest, size_bytes: int) -> None:
        if size_bytes <= MAX_KNOWN_BYTES:
            self._known[stored.project, stored.task] = stored
