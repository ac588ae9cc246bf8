"""The provider list (`providers.toml`): which providers may run a task, in which order.

[[provider]]
name = "local"          # the value of a task's `provider` field
kind = "openvino"       # this machine's models; or "upstream": another Video API over HTTP
priority = 0            # lowest first
device = "AUTO:GPU,CPU" # openvino
precision = "auto"      # openvino: auto | i8-bf16 | i8 | bf16 | f32 | f16

[[provider]]
name = "cloud"
kind = "upstream"
priority = 1
url = "https://video.example.com"
key_env = "CLOUD_KEY"   # the environment variable that holds the bearer key
models = ["qwen-vl-max"]
answer_s = 10           # upstream: longest wait for a connection, or for a response
first_chunk_s = 120     # upstream: longest wait for the first chunk, including its queue there
silence_s = 60          # upstream: longest wait for the next chunk, over all reconnects
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streamproc.contract.setting_error import SettingError

MAX_RETRIES = 2


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the list. `models` are routing hints that select it, in addition to its name."""

    name: str
    kind: Literal["openvino", "upstream"] = "openvino"
    priority: int = 0
    device: str | None = None
    precision: str = "auto"
    url: str | None = None
    key_env: str | None = None
    models: tuple[str, ...] = ()
    answer_s: Annotated[float, Meta(gt=0)] = 10.0
    first_chunk_s: Annotated[float, Meta(gt=0)] = 120.0
    silence_s: Annotated[float, Meta(gt=0)] = 60.0


class _File(msgspec.Struct, forbid_unknown_fields=True):
    provider: tuple[Provider, ...]


LOCAL = Provider(name="local")


def load_providers(path: Path | None) -> tuple[Provider, ...]:
    """Return the providers by priority; without a file, only this machine's models."""
    if path is None:
        return (LOCAL,)
    try:
        listed = msgspec.convert(tomllib.loads(path.read_text()), _File).provider
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise SettingError(f"{path.name}: {exc}") from exc
    names = [provider.name for provider in listed]
    if not listed or len(set(names)) != len(names):
        raise SettingError(f"{path.name}: needs providers, each with its own name")
    for provider in listed:
        if provider.kind == "upstream" and not provider.url:
            raise SettingError(f"{path.name}: provider {provider.name} needs a url")
    return tuple(sorted(listed, key=lambda provider: provider.priority))


def provider_order(providers: Sequence[Provider], hint: str | None) -> tuple[str, ...]:
    """Return the names to try, in order: first those that the hint selects, then the others.

    At most one first try and two retries.
    """
    named = [p.name for p in providers if hint is not None and hint in (p.name, *p.models)]
    others = [p.name for p in providers if p.name not in named]
    return tuple((named + others)[: 1 + MAX_RETRIES])
