"""Request parser: validates `POST /v1/video/process` and builds the worker's `TaskSpec`. Pure."""

import binascii
import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from api.contract.requests import (
    FpsSampling,
    Input,
    IntervalSampling,
    ProcessRequest,
    Range,
    Sampling,
    VideoBase64,
    VideoUrl,
)
from api.errors import FieldError, InvalidRequestError
from api.http.body_validation import NOT_PRINTABLE, read_json, read_tree
from api.http.upload_body import INLINE_BYTES, PLACEHOLDER, Upload, video_too_large
from api.tasks.live_request import live_errors, live_options, live_providers, url_problem
from api.tasks.step_parser import read_steps
from models.registry import Registry
from streamproc.contract import task_spec
from streamproc.contract.bounds import MAX_RECORDING_S
from streamproc.contract.masking import MASK, holds_secret, is_masked, mask_request, mask_url
from streamproc.contract.object_keys import upload_key
from streamproc.contract.providers import LOCAL, Provider, provider_order
from streamproc.contract.task_spec import TaskSpec

_SCHEMES = ("http", "https", "file")
STAGED = "staged:"
"""What an echoed request has before the object key of its upload, in place of base64."""


class ParsedRequest(msgspec.Struct, frozen=True):
    """A valid request. `upload` is the video that it contained, if any.

    `staged_key` is the object of an earlier upload that it names instead, unchecked.

    `spec` and `body` are complete except for the staged upload's key, which `with_task_id` adds. A
    URL that may hold credentials is masked in both; `secret_url` is the complete URL, to be
    encrypted. `body_sha256` (hex) is over the request as sorted JSON: whitespace and key order do
    not matter.
    """

    spec: TaskSpec
    body: dict[str, Any]
    body_sha256: str
    upload: bytes | bytearray | None = None
    secret_url: str | None = None
    staged_key: str | None = None

    def __repr__(self) -> str:
        """Return a repr without the client's data."""
        return f"ParsedRequest(body_sha256={self.body_sha256!r})"

    def with_task_id(self, project: str, task: str) -> tuple[TaskSpec, dict[str, Any]]:
        """Return the spec and the echoed body of this request for the task `task`."""
        if self.upload is None:
            return self.spec, self.body
        key = upload_key(project, task)
        echoed = {**self.body["input"][0], "data": f"{STAGED}{key}"}
        return (
            msgspec.structs.replace(self.spec, source=task_spec.SourceRef(object_key=key)),
            {**self.body, "input": [echoed]},
        )


def parse_request(
    body: bytes | bytearray,
    registry: Registry,
    *,
    max_upload_bytes: int,
    upload: Upload | None = None,
    providers: Sequence[Provider] = (LOCAL,),
    max_record_s: int = MAX_RECORDING_S,
) -> ParsedRequest:
    """Parse and validate a request; `upload` is the video that was extracted from it, if any.

    `max_record_s`: how long recordings of live sources may be kept; 0: nothing is recorded.

    Raises BadRequestError (not JSON), InvalidRequestError (every wrong field with its path) or
    TooLargeError (a base64 video above `max_upload_bytes`).
    """
    request = read_json(body, ProcessRequest)
    errors: list[FieldError] = []
    source = request.input[0]
    video: bytes | bytearray | None = None
    if upload is not None:
        video = _taken_out(source, upload, errors)
    elif isinstance(source, VideoUrl):
        _check_url(source, errors)
    elif staged_key(source) is None:
        video = _decode(source, max_upload_bytes, errors)
    _check_hint(request.model, errors)
    _check_range(source.range, errors)
    providers = tuple(providers)
    errors += live_errors(source, providers, max_record_s)
    steps: tuple[task_spec.Step, ...] = ()
    try:
        steps = read_steps(request.steps, registry)
    except InvalidRequestError as exc:
        errors.extend(exc.errors)
    if errors:
        raise InvalidRequestError(errors)
    value = read_tree(body)
    order = provider_order(live_providers(source, providers), request.model)
    return ParsedRequest(
        spec=_spec(request, source, steps, order),
        body=mask_request(value),
        body_sha256=_hash(value, upload),
        upload=video,
        secret_url=_secret_url(source),
        staged_key=staged_key(source),
    )


def staged_key(source: Input) -> str | None:
    """Return the object key that an echoed request has in place of its base64 video."""
    if isinstance(source, VideoBase64) and source.data.startswith(STAGED):
        return source.data.removeprefix(STAGED)
    return None


def _hash(value: Any, upload: Upload | None) -> str:
    """Return the SHA-256 (hex) of the request with its base64 video, extracted or not."""
    text = msgspec.json.encode(value, order="sorted")
    if upload is None:
        return hashlib.sha256(text).hexdigest()
    return upload.sha256(text.partition(PLACEHOLDER.encode())[2])


def _spec(
    request: ProcessRequest,
    source: Input,
    steps: tuple[task_spec.Step, ...],
    providers: tuple[str, ...],
) -> TaskSpec:
    wanted, live = source.range or Range(), live_options(source)
    most = None if live is not None else task_spec.DEFAULT_MAX_FRAMES
    return TaskSpec(
        source=_source(source),
        steps=steps,
        sampling=_sampling(source.sampling or FpsSampling()),
        range=task_spec.FrameRange(start=wanted.start, end=wanted.end, unit=wanted.unit),
        max_frames=source.max_frames or most,
        stream=source.stream,
        precision=request.precision,
        model_hint=request.model,
        providers=providers,
        live=live,
    )


def _source(source: Input) -> task_spec.SourceRef:
    if isinstance(source, VideoBase64):
        return task_spec.SourceRef(object_key=staged_key(source))
    return task_spec.SourceRef(url=mask_url(source.url), sealed=_secret_url(source) is not None)


def _secret_url(source: Input) -> str | None:
    return source.url if isinstance(source, VideoUrl) and holds_secret(source.url) else None


def _sampling(sampling: Sampling) -> task_spec.Sampling:
    if isinstance(sampling, FpsSampling):
        return task_spec.Sampling("fps", sampling.value)
    if isinstance(sampling, IntervalSampling):
        return task_spec.Sampling("interval", float(sampling.value))
    return task_spec.Sampling("keyframe")


def _check_hint(hint: str | None, errors: list[FieldError]) -> None:
    if hint is not None and not hint.isprintable():
        errors.append(FieldError(field="model", message=NOT_PRINTABLE))


def _taken_out(source: Input, upload: Upload, errors: list[FieldError]) -> bytearray | None:
    """Return the extracted video; add an error if it was not the text of `input[0].data`."""
    if not isinstance(source, VideoBase64) or source.data != PLACEHOLDER:
        message = f"no other text than this may have more than {INLINE_BYTES} bytes"
        errors.append(FieldError(field="input[0].data", message=message))
        return None
    if upload.fault is not None:
        errors.append(FieldError(field="input[0].data", message=upload.fault))
        return None
    return upload.video


def _check_range(wanted: Range | None, errors: list[FieldError]) -> None:
    if wanted is None:
        return
    at = "input[0].range"
    if wanted.end is not None and wanted.end <= wanted.start:
        errors.append(
            FieldError(field=f"{at}.end", message=f"must be after start ({wanted.start:g})")
        )
    if wanted.unit == "frames":
        for name, value in (("start", wanted.start), ("end", wanted.end)):
            if value is not None and value != int(value):
                errors.append(
                    FieldError(field=f"{at}.{name}", message="must be a whole number of frames")
                )


def _check_url(source: VideoUrl, errors: list[FieldError]) -> None:
    problem = _url_problem(source)
    if problem is not None:
        errors.append(FieldError(field="input[0].url", message=problem))


def _url_problem(source: VideoUrl) -> str | None:
    url = source.url
    if " " in url or not url.isprintable():
        return "must not hold spaces or control characters"
    if is_masked(url):
        return (
            f"holds {MASK} where a credential was: requests are echoed without them;"
            " give the whole URL again"
        )
    problem = url_problem(source)
    if problem is not None or live_options(source) is not None:
        return problem
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in _SCHEMES:
        return f"the scheme must be one of: {', '.join(_SCHEMES)}"
    if parts.scheme != "file" and not parts.hostname:
        return "names no host"
    if parts.scheme == "file" and (
        parts.netloc not in {"", "localhost"} or parts.path in {"", "/"}
    ):
        return "must be file:// and an absolute path"
    return None


def _decode(source: VideoBase64, limit: int, errors: list[FieldError]) -> bytes | None:
    """Decode the video; raises TooLargeError, before decoding if the text is too long."""
    text = source.data
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            errors.append(FieldError(field="input[0].data", message="a data: URL must hold base64"))
            return None
    if len(text) // 4 * 3 > limit + 3:
        raise video_too_large(limit)
    try:
        upload = binascii.a2b_base64(text.translate(_LINE_BREAKS).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        errors.append(FieldError(field="input[0].data", message="is not base64"))
        return None
    if len(upload) > limit:
        raise video_too_large(limit)
    if not upload:
        errors.append(FieldError(field="input[0].data", message="is empty"))
        return None
    return upload


_LINE_BREAKS = {ord("\r"): None, ord("\n"): None}
