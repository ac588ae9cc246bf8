"""Fetch policy: what a worker may fetch, and its limits of time and size."""

from pathlib import Path
from typing import Any

import msgspec

from streamproc.allowed_hosts import COMMON_PORTS, NO_PRIVATE_HOSTS, PrivateHosts
from streamproc.settings import SourceSettings
from streamproc.source.fetch.spool_quota import SpoolShare, SpoolShares

_NO_LIMIT = SpoolShares(0).of("")
STORE_STALL_TIMEOUT_S = 10.0
"""Stall timeout for the own store: shorter, because tasks wait for the store outside the slots."""


class FetchPolicy(msgspec.Struct, frozen=True):
    """Limits of one fetch and its decode; times in seconds.

    `allowed_file_roots`: folders below which `file://` is allowed (none: no local files).
    `allowed_private_hosts`: exempt from the rules on public addresses and ports, for example the
    own S3. `allowed_ports`: of public hosts.
    `open_timeout_s`: until the first frame is decoded, plus one second for each MiB that arrived.
    `stall_timeout_s`: longest silence, and the patience (see `Pace`) with an origin that sends less
    than `min_bytes_per_s` during a wait for it (0: any byte restores the patience).
    `live_stall_s`: a live source that has sent no picture for so long is lost.
    `decode_stall_timeout_s`: longest time that the decoder may spend on one frame.
    `min_free_bytes`: what a copy of a source leaves free on the disk of temporary files.
    `spool`: quota on that disk for the copies of all sources of a project.
    `counts_frames`: everything before a range is read, so that no frame's number is estimated.
    `ca_file`: PEM file of the trusted certificate authorities (None: the default ones);
    `store_ca_file` is that of the own S3.
    `require_sandbox`: decode nothing if a required part of the sandbox is missing.
    `own_store`: the source is in Framewire's own S3; a failure to read it is an outage of ours.
    """

    allowed_file_roots: tuple[Path, ...] = ()
    allowed_private_hosts: PrivateHosts = NO_PRIVATE_HOSTS
    allowed_ports: frozenset[int] = COMMON_PORTS
    max_bytes: int = 8 << 30
    min_free_bytes: int = 512 << 20
    spool: SpoolShare = _NO_LIMIT
    max_pixels: int = 36_000_000
    max_redirects: int = 5
    open_timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    stall_timeout_s: float = 20.0
    min_bytes_per_s: float = 6400.0
    live_stall_s: float = 5.0
    total_timeout_s: float = 6 * 3600.0
    decode_stall_timeout_s: float = 120.0
    cpu_limit_s: int = 6 * 3600
    counts_frames: bool = False
    ca_file: str | None = None
    store_ca_file: str | None = None
    require_sandbox: bool = False
    own_store: bool = False

    @classmethod
    def of(cls, settings: SourceSettings, **changes: Any) -> "FetchPolicy":
        """Return the policy of a process for sources of clients."""
        policy = cls(
            allowed_file_roots=settings.file_roots,
            allowed_private_hosts=settings.private_hosts,
            allowed_ports=settings.source_ports,
            max_bytes=settings.max_source_bytes,
            min_free_bytes=settings.min_free_bytes,
            open_timeout_s=settings.open_timeout_s,
            min_bytes_per_s=settings.min_source_rate,
            live_stall_s=settings.live_stall_s,
            store_ca_file=settings.store_ca_file,
            require_sandbox=settings.require_sandbox,
        )
        return msgspec.structs.replace(policy, **changes)

    def for_own_store(self, host: str | None) -> "FetchPolicy":
        """Return the policy for objects in Framewire's own S3 at `host`, host[:port]."""
        return msgspec.structs.replace(
            self,
            allowed_file_roots=(),
            allowed_private_hosts=PrivateHosts(host or ""),
            allowed_ports=COMMON_PORTS,
            counts_frames=True,
            stall_timeout_s=min(self.stall_timeout_s, STORE_STALL_TIMEOUT_S),
            own_store=True,
            ca_file=self.store_ca_file,
        )
