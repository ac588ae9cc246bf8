"""Fast ranged S3 GET: one signed HTTP request, without the SDK's overhead.

For a GET of 1 MiB, botocore's overhead takes as long as the transfer, and a cold replay consists
of such GETs. Signature, connections and TLS are botocore's. Retries, redirects and errors are left
to the SDK: for any other response than a plain success the result is None, and the caller uses the
SDK.
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
    """Ranged reads of one bucket. `get` is thread-safe."""

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
        """Connect at the first read; `timeout_s` holds the connect and the read timeout.

        `objects_url` is the URL prefix of a key; `verify` is as in botocore: True for the usual
        certificate authorities, or a PEM file.
        """
        self._url = objects_url
        self._region = region
        self._credentials = credentials
        timeout: Any = timeout_s  # a pair is accepted, although the type stub says a number
        authorities: Any = verify  # also wider than the stub's type
        self._http = URLLib3Session(
            verify=authorities, timeout=timeout, max_pool_connections=max_parallel
        )

    def close(self) -> None:
        self._http.close()

    def get(self, key: str, start: int, end: int) -> bytes | None:
        """Return the object's bytes `[start, end)`; None: read them with the SDK."""
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
