"""Errors of the sinks.

StreamprocError
└── SinkError
    ├── StoreUnavailableError   S3 did not answer, or with an error: retry later
    │   └── ObjectRefusedError  S3 is available, but does not accept this object
    ├── TablesUnavailableError  ClickHouse did not answer, or with an error: retry later
    ├── RowsRefusedError        ClickHouse is available, but does not accept these rows
    ├── EmptyStoreError         S3 has no task but the index has some: probably the wrong stores
    ├── ScratchFileError        no room for the temporary file of `reindex` or `verify`
    └── DamagedLogError         an archive is inconsistent: it must not be used
"""

from streamproc.errors import SinkError


class TablesUnavailableError(SinkError):
    """ClickHouse is unavailable, busy or refuses: the same statement may be retried."""


class RowsRefusedError(SinkError):
    """At least one of these rows cannot be stored: a retry is useless."""


class EmptyStoreError(SinkError):
    """S3 has no task while the index has rows: the operator must confirm that this is intended."""


class DamagedLogError(SinkError):
    """A task's segments, vectors or final.json are inconsistent."""


class ScratchFileError(SinkError):
    """The temporary file of `reindex` or `verify` cannot be written: mostly, the disk is full."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the temporary file in TMPDIR: {reason}")
