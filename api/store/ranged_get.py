"""Parts of objects by the shortest way: one signed request, no SDK around it.

botocore spends as much time around a GET of 1 MiB as on it, and a cold replay is nothing but such
GETs. Signature, connections and TLS are botocore's own; retries, redirects and errors stay with
the SDK: whatever is not plainly an answer is None, and the caller asks the SDK.
"""

from typing import Any
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError

_SAFE = "/-._~"


class RangeReader:
    """Reads of one bucket; `get` may be called from many threads at once."""

    def __init__(
        self,
        objects_url: str,
        region: str,
        credentials: Any,
        *,
        max_parallel: int,
        timeout_s: tuple[float, float],
        verify: str | bool = True,
    ) -> None:
        """Connect when first asked; `timeout_s` is for connecting and for reading.

        `objects_url` is what stands before a key; `verify` as for botocore: the usual authorities,
        or a PEM file.
        """
        self._url = objects_url
        self._region = region
        self._credentials = credentials
        timeout: Any = timeout_s  # a pair is taken, though the stub says a number
        authorities: Any = verify  # the same
        self._http = URLLib3Session(
            verify=authorities, timeout=timeout, max_pool_connections=max_parallel
        )

    def close(self) -> None:
        self._http.close()

    def get(self, key: str, start: int, end: int) -> bytes | None:
        """Return the object's bytes `[start, end)`; None: ask another way."""
        if self._credentials is None:
            return None
        request = AWSRequest(
            "GET",
            self._url + quote(key, safe=_SAFE),
            headers={"Range": f"bytes={start}-{end - 1}"},
            stream_output=True,
        )
        frozen = self._credentials.get_frozen_credentials()
        S3SigV4Auth(frozen, "s3", self._region).add_auth(request)
        try:
            answer = self._http.send(request.prepare())
            data: bytes = answer.raw.read(decode_content=False)
        except (BotoCoreError, HTTPError):
            return None
        return data if answer.status_code == 206 and len(data) == end - start else None
