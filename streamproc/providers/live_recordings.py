"""Recordings of live tasks: their pieces go to S3, in threads of the worker, and nobody waits.

A piece is tried again while S3 does not take it, and given up when it is `GIVE_UP_S` old. A piece
for which there is no memory any more is left out at once. What is left out is counted.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

import structlog
from msgspec.structs import replace

from streamproc.contract.chunk import RecordingLoss
from streamproc.contract.recordings import CONTENT_TYPES, SUFFIXES, PieceInfo, piece_key, start_key
from streamproc.contract.records import RecordingResult, RecordingState
from streamproc.errors import UploadsUnavailableError
from streamproc.source.live.recording.piece_maker import Piece, PieceMaker

MAX_WAITING_BYTES: Final = 96 << 20
"""Of the pieces of all tasks that wait for a thread or are on their way."""
GIVE_UP_S: Final = 120.0
PAUSE_S: Final = 2.0
"""Between two attempts, while S3 takes nothing."""
N_THREADS: Final = 2
_log = structlog.get_logger()


class PieceStore(Protocol):
    """Where the pieces go."""

    def put_piece(
        self, object_key: str, body: bytes, content_type: str, metadata: Mapping[str, str]
    ) -> None:
        """Store an object. Raises `UploadsUnavailableError`."""


class _Order(NamedTuple):
    """`piece` None: the object that says where the recording starts."""

    recording: "TaskRecording"
    piece: Piece | None
    offered_s: float

    @property
    def n_bytes(self) -> int:
        return 0 if self.piece is None else self.piece.n_bytes

    def objects(self) -> tuple[str, bytes, str, Mapping[str, str]]:
        """Return key, bytes, content type and metadata of the object to store."""
        if self.piece is None:
            return self.recording.start_key, b"{}", "application/json", {}
        key, info = self.recording.key(self.piece), self.recording.info(self.piece)
        content_type = CONTENT_TYPES[SUFFIXES[self.piece.codec]]
        return key, self.piece.stored(), content_type, info.to_metadata()


class LiveRecordings:
    """Stores pieces in threads. One instance per worker process; thread-safe."""

    def __init__(
        self,
        store: PieceStore,
        *,
        give_up_s: float = GIVE_UP_S,
        pause_s: float = PAUSE_S,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        """The threads start with the first piece and end with `close`, or the process."""
        self._store, self._give_up_s, self._pause_s = store, give_up_s, pause_s
        self._max_waiting_bytes = max_waiting_bytes
        self._changed = threading.Condition()
        self._orders: deque[_Order] = deque()
        self._n_waiting_bytes = self._n_running = 0
        self._counts: Counter[RecordingResult] = Counter()
        self._threads: list[threading.Thread] = []
        self._is_closing = False

    def of_task(self, project: str, task: str, epoch: int) -> "TaskRecording":
        """Return a task's recording by this worker, which claimed it with `epoch`."""
        return TaskRecording(self._offer, project, task, epoch)

    def counts(self) -> dict[str, int]:
        """Return the pieces so far, by what became of them."""
        with self._changed:
            return {str(result): n for result, n in self._counts.items()}

    def close(self, timeout_s: float) -> None:
        """Wait so long for the pieces that are on their way; nothing is tried again."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._orders and not self._n_running, timeout_s)

    def _offer(self, recording: "TaskRecording", piece: Piece | None) -> None:
        order = _Order(recording, piece, time.monotonic())
        with self._changed:
            if self._n_waiting_bytes + order.n_bytes > self._max_waiting_bytes:
                self._note(order, "busy")
                return
            self._orders.append(order)
            self._n_waiting_bytes += order.n_bytes
            self._changed.notify_all()
            if len(self._threads) < N_THREADS:
                thread = threading.Thread(target=self._run, name="recordings", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._orders or self._is_closing)
                if not self._orders:
                    return
                order = self._orders.popleft()
                self._n_running += 1
            try:
                result = self._stored(order)
            except Exception:  # noqa: BLE001 - the thread's edge: other pieces go on
                _log.exception("a recorded piece could not be made", task=order.recording.task)
                result = "failed"
            with self._changed:
                self._note(order, result)
                self._n_waiting_bytes -= order.n_bytes
                self._n_running -= 1
                self._changed.notify_all()
            del order  # not held until the next one comes

    def _stored(self, order: _Order) -> RecordingResult:
        objects = order.objects()
        has_warned = False
        while True:
            try:
                self._store.put_piece(*objects)
            except UploadsUnavailableError as exc:
                if not has_warned:
                    _log.warning(
                        "a recording is not stored now", task=order.recording.task, reason=str(exc)
                    )
                has_warned = True
            else:
                return "stored"
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing, self._pause_s)
                is_over = time.monotonic() - order.offered_s >= self._give_up_s
                if self._is_closing or is_over:
                    return "no_store"

    def _note(self, order: _Order, result: RecordingResult) -> None:
        """Count a piece; called with the lock."""
        piece = order.piece
        if piece is None:
            return
        self._counts[result] += 1
        order.recording.note(piece, result)
        if result != "stored":
            _log.warning(
                "a piece of a recording is lost",
                task=order.recording.task,
                result=result,
                first_frame=piece.first,
                n_pictures=len(piece.pictures),
            )


class TaskRecording:
    """The recording of one task by one worker; thread-safe."""

    def __init__(
        self,
        offer: Callable[["TaskRecording", Piece | None], None],
        project: str,
        task: str,
        epoch: int,
    ) -> None:
        self.task = task
        self._offer, self._project, self._epoch = offer, project, epoch
        self._start = 0
        self._lock = threading.Lock()
        self._state = RecordingState()
        self._loss: RecordingLoss | None = None

    def maker(self, start: int) -> PieceMaker:
        """Return what makes the pieces; the first frame that it can get has the index `start`.

        That is stored first: what another worker recorded from there on is not of the log.
        """
        self._start = start
        self._offer(self, None)
        ahead_s = time.time() - time.monotonic()
        return PieceMaker(lambda piece: self._offer(self, piece), self._skipped, ahead_s)

    def key(self, piece: Piece) -> str:
        return piece_key(self._project, self.task, piece.first, self._epoch, piece.codec)

    @property
    def start_key(self) -> str:
        return start_key(self._project, self.task, self._start, self._epoch)

    def info(self, piece: Piece) -> PieceInfo:
        return PieceInfo(
            piece.codec,
            *piece.size,
            last=piece.last,
            n_pictures=len(piece.pictures),
            first_ms=piece.pictures[0].captured_ms,
            last_ms=piece.pictures[-1].captured_ms,
        )

    def note(self, piece: Piece, result: RecordingResult) -> None:
        """Note what became of a piece."""
        with self._lock:
            state = self._state
            if result == "stored":
                self._state = replace(
                    state,
                    pieces=state.pieces + 1,
                    size_bytes=state.size_bytes + piece.n_bytes,
                    last_ms=max(state.last_ms or 0, piece.pictures[-1].captured_ms),
                )
            else:
                self._state = replace(
                    state,
                    lost_pieces=state.lost_pieces + 1,
                    lost_pictures=state.lost_pictures + len(piece.pictures),
                )
                self._loss = _with_loss(self._loss, piece, result)

    def take_loss(self) -> RecordingLoss | None:
        """Return what was lost since the last call, for the log."""
        with self._lock:
            loss, self._loss = self._loss, None
            return loss

    def state(self) -> RecordingState:
        """Return what was stored, and what was not, since the worker opened the source."""
        with self._lock:
            return self._state

    def _skipped(self, n_pictures: int) -> None:
        with self._lock:
            n_lost = self._state.lost_pictures + n_pictures
            self._state = replace(self._state, lost_pictures=n_lost)


def _with_loss(before: RecordingLoss | None, piece: Piece, reason: str) -> RecordingLoss:
    """Return the loss of a piece, together with that of others."""
    n_pictures = len(piece.pictures)
    if before is None:
        return RecordingLoss(reason, 1, n_pictures, piece.first, piece.last)
    return RecordingLoss(
        reason,
        before.pieces + 1,
        before.pictures + n_pictures,
        min(before.first_frame, piece.first),
        max(before.last_frame, piece.last),
    )
