"""Explains S3 failures in one sentence that names the setting to check.

No sentence contains an address, a key's text or an object's name: the sentences appear in logs and
in the public readiness endpoint's responses.
"""

from typing import Any, Final, NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import HTTPError

from streamproc.contract import env

FAILURES: Final = (BotoCoreError, ClientError, HTTPError, TimeoutError)
"""Exceptions of a client call without a response, or with an error response."""

_BODILESS: Final = frozenset({"301", "400", "403", "404"})
"""Codes that botocore gives an error response to a HEAD, which has no body with a code."""


class Trouble(NamedTuple):
    """A sentence about a failure; `lasting`: until a setting or the store is changed."""

    sentence: str
    lasting: bool


_KEY: Final = Trouble(f"S3 does not know the access key: see {env.S3_KEY}.", lasting=True)
_SECRET: Final = Trouble(
    f"S3 refuses the signature: the secret key is wrong, see {env.S3_SECRET}.", lasting=True
)
_TOKEN: Final = Trouble(
    f"S3 does not accept the session token, or it has expired: see {env.S3_SESSION_TOKEN}.",
    lasting=True,
)
_DENIED: Final = Trouble("S3 denies access: the key may not do this with the bucket.", lasting=True)
_MISSING: Final = Trouble(f"S3 has no such bucket: see {env.S3_BUCKET}.", lasting=True)
_SKEWED: Final = Trouble("This machine's clock and that of S3 are too far apart.", lasting=False)
_SILENT: Final = Trouble("S3 does not answer in time.", lasting=False)
_BROKEN: Final = Trouble("S3 closed the connection unexpectedly off.", lasting=False)

_BY_CODE: Final[dict[str, Trouble]] = {
    "InvalidAccessKeyId": _KEY,
    "InvalidClientTokenId": _KEY,
    "SignatureDoesNotMatch": _SECRET,
    "ExpiredToken": _TOKEN,
    "InvalidToken": _TOKEN,
    "TokenRefreshRequired": _TOKEN,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "403": _DENIED,
    "NoSuchBucket": _MISSING,
    "404": _MISSING,
    "RequestTimeTooSkewed": _SKEWED,
    "RequestExpired": _SKEWED,
}
_OF_REGION: Final = frozenset(
    {
        *("301", "PermanentRedirect", "InvalidRegion", "AuthorizationHeaderMalformed"),
        *("IllegalLocationConstraintException", "InvalidLocationConstraint"),
        *("AuthorizationQueryParametersError", "IncorrectRegion"),
    }
)


def trouble_of(exc: BaseException) -> Trouble:
    """Explain one of `FAILURES`, for the bucket as a whole."""
    match exc:
        case ClientError():
            return _refusal(exc)
        case SSLError():
            return Trouble(_certificate(str(exc)), lasting=True)
        case ConnectTimeoutError() | ReadTimeoutError() | TimeoutError():
            return _SILENT
        case ProxyConnectionError():
            return Trouble("The proxy to S3 cannot be reached.", lasting=False)
        case EndpointConnectionError():
            return Trouble(_connection(str(exc.kwargs.get("error", exc))), lasting=False)
        case ConnectionClosedError() | HTTPClientError() | HTTPError():
            return _BROKEN
        case NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
            text = f"There are no keys for S3: set {env.S3_KEY} and {env.S3_SECRET}."
            return Trouble(text, lasting=True)
        case _:
            return Trouble(f"S3 cannot be used: {type(exc).__name__}.", lasting=False)


def diagnose(client: Any, bucket: str, exc: BaseException) -> Trouble:
    """Explain a failure; after a HEAD that failed without a reason, send one request to S3."""
    if isinstance(exc, ClientError) and code_of(exc) in _BODILESS:
        try:
            client.list_objects_v2(Bucket=bucket, MaxKeys=1)
        except FAILURES as found:
            return trouble_of(found)
    return trouble_of(exc)


def is_missing_bucket(exc: ClientError) -> bool:
    return code_of(exc) in {"404", "NoSuchBucket"}


def _refusal(exc: ClientError) -> Trouble:
    code, status = code_of(exc), status_of(exc)
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code in _OF_REGION:
        return Trouble(_region(exc), lasting=True)
    if status >= 500 or code in {"SlowDown", "ServiceUnavailable", "429"}:
        return Trouble(f"S3 is busy or broken: it answers {status} {code}.", lasting=False)
    return Trouble(f"S3 refuses: it answers {status} {code}.", lasting=status not in {408, 429})


def _region(exc: ClientError) -> str:
    answer = exc.response
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    error: Any = answer.get("Error", {})
    region = str(error.get("Region") or headers.get("x-amz-bucket-region") or "")
    wanted = f", which is {region}" if region.replace("-", "").isalnum() else ""
    return f"S3 wants its own region{wanted}: see {env.S3_REGION}."


def _certificate(text: str) -> str:
    if "WRONG_VERSION_NUMBER" in text or "record layer" in text:
        return f"S3 speaks no TLS on its port: see http or https in {env.S3_ENDPOINT}."
    if "Hostname mismatch" in text or "doesn't match" in text or "IP address mismatch" in text:
        return f"The certificate of S3 is another host's: see {env.S3_ENDPOINT}."
    if "expired" in text:
        return "The certificate of S3 has expired."
    return (
        f"The certificate of S3 is not trusted: {env.S3_CA_BUNDLE} names the file of the authority"
        " that signed it."
    )


def _connection(text: str) -> str:
    if "refused" in text:
        return "S3 refuses the connection: nothing listens there."
    if "resolve" in text or "Name or service" in text or "getaddrinfo" in text:
        return f"The host of S3 has no address: see {env.S3_ENDPOINT}."
    return "S3 cannot be reached."


def status_of(exc: ClientError) -> int:
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code_of(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))
