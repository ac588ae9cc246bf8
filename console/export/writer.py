"""Writes the tracks of many tasks: to one file, or to a file for each task."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from api.contract.tracks import TrackSummary
from console.export.encoding import MergedTracks, encode_rows
from console.export.target import ExportTarget


class TrackWriter(Protocol):
    """Takes the tracks of one task after the other. Its methods block, and raise OSError."""

    def write(self, task_id: str, tracks: Sequence[TrackSummary]) -> None:
        """Add the tracks of a task."""

    def close(self, *, is_wanted: bool) -> None:
        """Finish; what is not wanted, because no task could be read, leaves no file."""


def open_writer(target: ExportTarget, *, may_replace: bool) -> TrackWriter:
    """Open the target; raises OSError, as FileExistsError for a file that may not be replaced."""
    if target.is_directory:
        target.path.mkdir(parents=True, exist_ok=True)
        return _FilePerTask(target, "wb" if may_replace else "xb")
    return _OneFile(target.path, may_replace=may_replace)


class _FilePerTask:
    def __init__(self, target: ExportTarget, mode: str) -> None:
        self._target = target
        self._mode = mode

    def write(self, task_id: str, tracks: Sequence[TrackSummary]) -> None:
        (path,) = self._target.files([task_id])
        with path.open(self._mode) as file:
            file.write(encode_rows(tracks, path))

    def close(self, *, is_wanted: bool) -> None:
        pass


class _OneFile:
    """A file that gets its content when it is whole, so that a failure leaves the old one."""

    def __init__(self, path: Path, *, may_replace: bool) -> None:
        self._path = path
        self._is_new = not may_replace
        if self._is_new:
            path.open("xb").close()  # nobody else takes the name meanwhile
        try:
            number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        except OSError:
            self._give_up()
            raise
        self._draft = Path(name)
        self._file = os.fdopen(number, "wb")
        self._tracks = MergedTracks(path.suffix)
        self._file.write(self._tracks.begin())

    def write(self, task_id: str, tracks: Sequence[TrackSummary]) -> None:
        self._file.write(self._tracks.rows(task_id, tracks))

    def close(self, *, is_wanted: bool) -> None:
        try:
            with self._file:
                self._file.write(self._tracks.end())
            if is_wanted:
                mask = os.umask(0)
                os.umask(mask)
                self._draft.chmod(0o666 & ~mask)  # as any file; a temporary one is its owner's
                self._draft.replace(self._path)
                return
        except OSError:
            self._discard()
            raise
        self._discard()

    def _discard(self) -> None:
        self._draft.unlink(missing_ok=True)
        self._give_up()

    def _give_up(self) -> None:
        if self._is_new:
            self._path.unlink(missing_ok=True)
