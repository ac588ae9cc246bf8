"""Secret store for credentials in source URLs: encrypted, apart from requests, until the task ends.

Kafka, `request.json` and all responses contain only the masked URL. The complete URL is one
encrypted object per task; workers decrypt it, and the archiver deletes it once the task's log is
closed.
"""

from api.errors import ForbiddenError, ProblemError
from api.store.object_store import Objects
from streamproc.contract import env
from streamproc.contract.object_keys import secret_key
from streamproc.contract.sealing import SealBrokenError, Sealer


class SourceSecretGoneError(ProblemError):
    """The URL had credentials, which are deleted when the task ends."""

    status = 410
    code = "source_gone"
    title = "Gone"


class SourceSecrets:
    """Encrypts and decrypts source URLs; `keys` is `FRAMEWIRE_SECRET_KEY`, None if it is unset."""

    def __init__(self, objects: Objects, keys: str | None) -> None:
        """Parse the keys; raises `SettingError`."""
        self._objects = objects
        self._sealer = Sealer(keys) if keys else None

    def require(self) -> Sealer:
        """Return the sealer; raises ForbiddenError on a server without a key."""
        if self._sealer is None:
            raise ForbiddenError(
                "This server takes no URL with a query or with credentials: its operator has not"
                f" set {env.SECRET_KEY}.",
                code="secrets_off",
            )
        return self._sealer

    async def keep(self, project: str, task: str, url: str) -> None:
        """Store the task's URL encrypted. Idempotent. Raises StoreUnavailableError.

        Raises ForbiddenError on a server without a key.
        """
        sealed = self.require().seal(project, task, url)
        await self._objects.put(secret_key(project, task), sealed, "application/octet-stream")

    async def open(self, project: str, task: str) -> str:
        """Return the task's complete URL; raises SourceSecretGoneError, StoreUnavailableError."""
        sealed = await self._objects.get(secret_key(project, task))
        if sealed is None or self._sealer is None:
            raise SourceSecretGoneError(
                "The video's URL held credentials, which were deleted when the task ended."
                if sealed is None
                else f"The video's URL holds credentials, and this server has no {env.SECRET_KEY}."
            )
        try:
            return self._sealer.open(project, task, sealed)
        except SealBrokenError as exc:
            raise SourceSecretGoneError(f"The video's URL cannot be opened: {exc}.") from exc
