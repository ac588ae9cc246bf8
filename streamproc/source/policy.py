"""What a worker may fetch, and how long it may take."""

from pathlib import Path

import msgspec


class FetchPolicy(msgspec.Struct, frozen=True):
    """Limits of one fetch and its decode; times in seconds.

    `allowed_file_roots`: folders below which `file://` is allowed (none: no local files).
    `allowed_private_hosts`: `host` or `host:port` exempt from the public-address rule, for the
    own S3. `stall_timeout_s`: longest silence between two pieces of data.
    `decode_stall_timeout_s`: longest time the decoder may take over one frame.
    `require_sandbox`: decode nothing where a required part of the sandbox is missing.
    """

    allowed_file_roots: tuple[Path, ...] = ()
    allowed_private_hosts: frozenset[str] = frozenset()
    max_bytes: int = 8 << 30
    max_pixels: int = 36_000_000
    max_redirects: int = 5
    connect_timeout_s: float = 10.0
    stall_timeout_s: float = 20.0
    total_timeout_s: float = 6 * 3600.0
    decode_stall_timeout_s: float = 120.0
    cpu_limit_s: int = 6 * 3600
    require_sandbox: bool = False
