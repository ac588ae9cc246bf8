"""The live part of a request: which URLs are live, what is wrong with them, and their options."""

from typing import Final

from api.contract.requests import Input, Live, VideoUrl
from api.errors import FieldError
from streamproc.contract.live_url import is_live, live_url_problem
from streamproc.contract.providers import Provider
from streamproc.contract.task_spec import LiveOptions, Recording

_GATEWAYS: Final = ("srt", "webrtc", "whep", "whip", "udp", "rtp", "ndi", "onvif")


def live_options(source: Input) -> LiveOptions | None:
    """Return how a live source is read, with all defaults; None for a file."""
    if not isinstance(source, VideoUrl) or not _is_live(source):
        return None
    asked = source.live or Live()
    return LiveOptions(
        transport=asked.transport,
        on_loss=asked.on_loss,
        max_lag_s=asked.max_lag_s,
        give_up_s=asked.give_up_s,
        retention_days=asked.retention_days,
        record=None if asked.record is None else Recording(asked.record.retention_s),
    )


def live_providers(source: Input, providers: tuple[Provider, ...]) -> tuple[Provider, ...]:
    """Return the providers that can read the source: a live one only this machine's."""
    if live_options(source) is None:
        return providers
    return tuple(provider for provider in providers if provider.kind != "upstream")


def url_problem(source: VideoUrl) -> str | None:
    """Return what is wrong with the URL of a live source, or with one that cannot be read."""
    if _is_live(source):
        return live_url_problem(source.url)
    scheme, colon, _ = source.url.partition("://")
    if colon and scheme.lower() in _GATEWAYS:
        return (
            f"{scheme.lower()} cannot be read: put a gateway before it that gives rtsp"
            " (MediaMTX or go2rtc, for example)"
        )
    return None


def live_errors(
    source: Input, providers: tuple[Provider, ...], max_record_s: int
) -> list[FieldError]:
    """Return what of the request does not fit to its source, live or not, or to the server.

    `max_record_s`: how long recordings may be kept here; 0: nothing is recorded.
    """
    if not isinstance(source, VideoUrl):
        return []
    if not _is_live(source):
        message = "is for live sources alone (rtsp, rtmp, http, camera)"
        return [] if source.live is None else [FieldError(field="input[0].live", message=message)]
    errors = []
    if source.stream is not None:
        message = "a live source has one video: its first track is read"
        errors.append(FieldError(field="input[0].stream", message=message))
    if not live_providers(source, providers):
        message = "is live, and this server has only providers that read files"
        errors.append(FieldError(field="input[0].url", message=message))
    record = None if source.live is None else source.live.record
    if record is not None and record.retention_s > max_record_s:
        message = f"this server keeps recordings for at most {max_record_s} s"
        field = "input[0].live.record.retention_s"
        if not max_record_s:
            field, message = "input[0].live.record", "this server records no live sources"
        errors.append(FieldError(field=field, message=message))
    return errors


def _is_live(source: VideoUrl) -> bool:
    return is_live(source.url, is_asked=source.live is not None)
