"""View model of the System tab: history and rows of `/v1/system` answers. Pure."""

from collections import defaultdict, deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from api.contract.system import LagResource, PartResource, SandboxResource, SystemResource
from api.contract.tasks import TaskResource
from console.tui.drawing.formatting import duration, grouped, rate, short_id, size, sparkline
from console.tui.drawing.styled_text import Line, Span, length
from console.tui.drawing.table_layout import Column, Row
from console.tui.view_models.health import PART_TITLES
from console.tui.view_models.lag_watch import n_waiting
from console.tui.view_models.task_list import parse_time
from streamproc.contract.topics import LIVE

HISTORY = 60
_BETWEEN = "   "
ROLES = frozenset({"worker", "archive", "index"})
"""Parts that are shown only if they are not ready or have a detail."""
LAG_TITLES = {
    "framewire-worker": "tasks to do",
    "framewire-archive": "archive behind",
    "framewire-audit": "audit behind",
    "framewire-index": "index behind",
}
LIVE_TITLE = "live tasks"
"""Of the topic of live tasks, which workers read as well."""
WORKER_COLUMNS = (
    Column("worker", "PROCESS", 13, flex=1),
    Column("state", "STATE", 7),
    Column("device", "DEVICE", 12),
    Column("precision", "PREC", 7, rank=6),
    Column("busy", "BUSY", 5, right=True),
    Column("live", "LIVE", 5, right=True, rank=6),
    Column("fps", "FPS", 5, right=True),
    Column("history", "FPS, LAST 2 MIN", 16, rank=4),
    Column("frames", "FRAMES", 8, right=True, rank=5),
    Column("cpu", "CPU", 5, right=True, rank=3),
    Column("memory", "MEMORY", 9, right=True, rank=3),
    Column("sandbox", "SANDBOX", 8, flex=1, rank=4),
    Column("models", "MODELS", 16, flex=2, rank=7),
    Column("up", "UP", 6, right=True, rank=2),
)
LAG_COLUMNS = (
    Column("what", "WHAT", 14),
    Column("topic", "TOPIC", 12, rank=4),
    Column("lag", "LAG", 7, right=True),
    Column("history", "LAST 2 MIN", 12, flex=1, rank=3),
    Column("partitions", "BY PARTITION", 12, flex=1, rank=2),
)
FAILURE_COLUMNS = (
    Column("age", "AGE", 6, right=True),
    Column("code", "ERROR", 18, rank=1),
    Column("message", "MESSAGE", 18, flex=1),
    Column("task", "TASK", 7, rank=2),
)


class ServiceFold:
    """History of workers' frame rates and of consumer lag, over the last `HISTORY` answers."""

    def __init__(self) -> None:
        self._fps: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._lag: dict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=HISTORY))

    def take(self, system: SystemResource) -> None:
        """Add one answer to the history; workers that it does not list are removed."""
        for worker in system.workers:
            self._fps[worker.id].append(worker.fps if worker.alive else 0.0)
        for gone in self._fps.keys() - {worker.id for worker in system.workers}:
            del self._fps[gone]
        for key, parts in _by_topic(system.lag).items():
            self._lag[key].append(float(sum(part.lag or 0 for part in parts)))

    def worker_rows(self, system: SystemResource, now: datetime) -> list[Row]:
        """Return a row for each worker, then for the processes of the other roles."""
        rows: list[Row] = []
        for worker in sorted(system.workers, key=lambda w: (not w.alive, w.id)):
            started = parse_time(worker.started_at) or now
            seen = parse_time(worker.seen_at) or now
            state: Span = ("● alive", "good") if worker.alive else ("✖ gone", "bad")
            if worker.alive and worker.device_fault is not None:
                state = "▲ fault", "bad"
            since = (now if worker.alive else seen) - started
            rows.append(
                Row(
                    worker.id,
                    (
                        ((worker.id, "!"),),
                        (state,),
                        ((worker.device, "bad" if worker.device_fault else ""),),
                        ((worker.precision, "dim"),),
                        _busy(worker.busy, worker.slots),
                        _busy(worker.live_busy, worker.live_slots),
                        ((rate(worker.fps), "!" if worker.fps else "dim"),),
                        ((sparkline(self._fps[worker.id], 20), "info"),),
                        ((grouped(worker.processed_frames), ""),),
                        ((_percent(worker.cpu_percent), "dim"),),
                        ((size(worker.rss_bytes), "dim"),),
                        _sandbox(worker.sandbox),
                        ((", ".join(worker.models) or "none loaded", "dim"),),
                        ((duration(since.total_seconds()), "dim"),),
                    ),
                )
            )
        return [*rows, *_other_rows(system, now)]

    def lag_rows(self, system: SystemResource) -> list[Row]:
        rows: list[Row] = []
        by_topic = _by_topic(system.lag)
        for key in sorted(by_topic, key=lag_order):
            (group, topic), parts = key, by_topic[key]
            total = sum(part.lag or 0 for part in parts)
            started = any(part.lag is not None for part in parts)
            shown = grouped(total) if started else "-"
            tone = "dim" if not total else "warn" if total < 1000 else "bad"
            rows.append(
                Row(
                    f"{group}/{topic}",
                    (
                        ((lag_title(group, topic), ""),),
                        ((topic, "dim"),),
                        ((shown, f"{tone}!" if total else tone),),
                        ((sparkline(self._lag[key], 12), "info"),),
                        _partitions(parts),
                    ),
                )
            )
        return rows


def part_line(system: SystemResource) -> Line:
    """Return the parts on one line; a part that is not ready is followed by its error.

    Roles are shown only if they are not ready or have a detail. Of the dead letters, the number and
    the last one are shown.
    """
    spans: list[Span] = []
    for part in system.parts:
        title = PART_TITLES.get(part.name, part.name)
        if not part.ready:
            spans += _fault(part, title)
        elif part.name not in ROLES:
            spans += [(" ● ", "good!"), (title, "")]
        elif part.detail:
            spans += [(" ◐ ", "warn!"), (title, ""), (f" {part.detail}", "warn")]
        else:
            continue
        spans.append(("  ", ""))
    if system.dead_letters:
        last = system.dead_letters[0]
        text = f" {len(system.dead_letters)} left out, the last by {last.role}: {last.code}"
        spans.append((text + "  ", "warn"))
    spans.append((f" framewire {system.version}", "dim"))
    return tuple(spans)


def summary_line(system: SystemResource, width: int) -> Line:
    """Return the figures of all workers together; those at the end that have no room are left out.

    `width` is in cells.
    """
    alive = [worker for worker in system.workers if worker.alive]
    slots = sum(worker.slots for worker in alive)
    busy = sum(worker.busy for worker in alive)
    live_slots = sum(worker.live_slots for worker in alive)
    live_busy = sum(worker.live_busy for worker in alive)
    live: Line = ((f"{live_busy}/{live_slots}", "!"), (" live", "dim"))
    fps = sum(worker.fps for worker in alive)
    waiting = n_waiting(system)
    workers_tone = "good!" if alive else "bad!"
    figures: list[Line] = [
        ((f" {len(alive)}", workers_tone), (" worker" if len(alive) == 1 else " workers", "dim")),
        ((f"{busy}/{slots}", "!"), (" slots busy", "dim")),
        *([live] if live_slots else []),
        ((rate(fps), "!"), (" frames/s", "dim")),
        (
            (grouped(waiting), "warn!" if waiting else "!"),
            (" task waiting" if waiting == 1 else " tasks waiting", "dim"),
        ),
        ((", ".join(system.devices) or "no device", ""),),
        ((f"{system.partitions or '?'} partitions", "dim"),),
    ]
    line = figures[0]
    for figure in figures[1:]:
        if length(line) + len(_BETWEEN) + length(figure) > width:
            break
        line = (*line, (_BETWEEN, ""), *figure)
    return line


def sandbox_words(sandbox: SandboxResource | None) -> str:
    """Describe the sandbox of a worker's decoders: its level, and the missing parts."""
    if sandbox is None:
        return "not told"
    return f"{sandbox.level} - {', '.join(sandbox.missing)}" if sandbox.missing else sandbox.level


def failure_rows(failures: Sequence[TaskResource], now: datetime) -> list[Row]:
    rows: list[Row] = []
    for task in failures:
        at = parse_time(task.finished_at or task.created_at) or now
        error = task.error
        rows.append(
            Row(
                task.id,
                (
                    ((duration((now - at).total_seconds()), "dim"),),
                    ((error.code if error else "unknown", "bad"),),
                    ((error.message if error else "", ""),),
                    ((short_id(task.id), "dim"),),
                ),
            )
        )
    return rows


def _sandbox(sandbox: SandboxResource | None) -> Line:
    level = sandbox.level if sandbox else None
    tone = {"full": "good", "partial": "warn", "none": "bad!"}.get(level or "", "dim")
    return ((sandbox_words(sandbox), tone),)


def _by_topic(lag: Sequence[LagResource]) -> dict[tuple[str, str], list[LagResource]]:
    found: dict[tuple[str, str], list[LagResource]] = defaultdict(list)
    for part in lag:
        found[part.group, part.topic].append(part)
    return found


def lag_title(group: str, topic: str) -> str:
    """Return what a consumer group's lag on a topic means to a person."""
    return LIVE_TITLE if topic == LIVE else LAG_TITLES.get(group, group)


def lag_order(key: tuple[str, str]) -> tuple[int, str]:
    """Return the sort key of a group and its topic: the order of a task's way."""
    groups = list(LAG_TITLES)
    return (groups.index(key[0]) if key[0] in groups else len(groups), key[1])


def _other_rows(system: SystemResource, now: datetime) -> list[Row]:
    """Return rows of archive and index, and of the api process that answered.

    Their names have the host where there is more than one.
    """
    hosts = {one.host for one in system.workers} | {one.host for one in system.consumers}
    if system.api is not None:
        hosts.add(system.api.host)
    rows = []
    for one in sorted(system.consumers, key=lambda c: (not c.alive, c.role, c.host, c.pid)):
        seen = parse_time(one.seen_at) or now
        started = parse_time(one.started_at) or now
        state: Span = ("● alive", "good") if one.alive else ("✖ gone", "bad")
        reads = f"reads {len(one.partitions)} partitions"
        note: Span = (f"waits for {one.waiting_for}", "warn") if one.waiting_for else (reads, "dim")
        if one.standing:
            note = f"stands still in {len(one.standing)} of {len(one.partitions)}", "bad"
        up_s = ((now if one.alive else seen) - started).total_seconds()
        cells = _role_cells(state, one.cpu_percent, one.rss_bytes, note, up_s)
        rows.append(_process_row(one.role, one.host, one.pid, hosts, cells))
    if (api := system.api) is not None:
        up_s = (now - (parse_time(api.started_at) or now)).total_seconds()
        alive: Span = ("● alive", "good")
        note = "answers here", "dim"
        cells = _role_cells(alive, api.cpu_percent, api.rss_bytes, note, up_s)
        rows.append(_process_row("api", api.host, api.pid, hosts, cells))
    return rows


def _process_row(
    role: str, host: str, pid: int, hosts: AbstractSet[str], cells: Sequence[Line]
) -> Row:
    key = f"{role} {host}-{pid}"
    name = key if len(hosts) > 1 else f"{role} {pid}"
    return Row(key, (((name, ""),), *cells))


def _role_cells(
    state: Span, cpu: float | None, rss_bytes: int | None, note: Span, up_s: float
) -> Sequence[Line]:
    """Return the cells after the name."""
    memory = "-" if rss_bytes is None else size(rss_bytes)
    return (
        (state,),
        *((),) * 7,
        ((_percent(cpu), "dim"),),
        ((memory, "dim"),),
        (),
        (note,),
        ((duration(up_s), "dim"),),
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}%"


def _busy(busy: int, slots: int) -> Line:
    if not slots and not busy:
        return (("-", "dim"),)
    return ((f"{busy}/{slots}", "accent!" if busy >= slots else "" if busy else "dim"),)


def _partitions(parts: Sequence[LagResource]) -> Line:
    """Return one lag mark per partition; `·` if nothing was read from it yet."""
    most = max((part.lag or 0 for part in parts), default=0)
    spans: list[Span] = []
    for part in sorted(parts, key=lambda part: part.partition):
        if part.lag is None:
            spans.append(("·", "faint"))
        elif not part.lag:
            spans.append(("▁", "dim"))
        else:
            spans.append((sparkline([most, part.lag], 2)[1], "warn"))
    return tuple(spans)


def _fault(part: PartResource, title: str) -> list[Span]:
    detail = (part.detail or "not ready").removeprefix(f"{title} ")
    return [(" ✖ ", "bad!"), (title, "bad!"), (f" {detail}", "bad")]
