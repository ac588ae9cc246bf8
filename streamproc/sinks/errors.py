"""Errors of the sinks.

StreamprocError
└── SinkError
    ├── SettingError     a variable is missing or cannot be read; names it, never its value
    ├── StoreUnavailableError S3 did not answer as it should: try again later
    ├── TablesUnavailableError ClickHouse did not answer as it should: try again later
    ├── RowsRefusedError      ClickHouse is there, and does not take these rows
    ├── ObjectRefusedError    S3 is there, and does not take this object
    ├── EmptyStoreError      S3 has no task and the index has some: these are hardly its stores
    └── DamagedLogError       an archive contradicts itself: nothing may be built on it
"""

from streamproc.errors import SinkError


class TablesUnavailableError(SinkError):
    """ClickHouse is away, busy or refuses: the same statement may be sent again."""


class RowsRefusedError(SinkError):
    """A row among these cannot be stored: sending it again is no use."""


class EmptyStoreError(SinkError):
    """S3 is without a task while the index has rows: somebody has to say that this is meant."""


class DamagedLogError(SinkError):
    """A task's segments, vectors or final.json contradict each other."""
