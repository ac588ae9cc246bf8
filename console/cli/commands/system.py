"""`framewire system`: state of the service."""

import click

from api.contract.system import SystemResource, WorkerResource
from console.cli.commands.options import asks_api
from console.cli.terminal import Terminal
from console.client import calls
from console.printable import echo
from console.tui.view_models.system import sandbox_words


@click.command
@asks_api
def system(terminal: Terminal) -> None:
    """Show the service's parts, workers, dead letters and Kafka consumer lag.

    Of a worker's slots, BUSY counts those that work on files, LIVE those that have a live source.
    """
    found = terminal.send(calls.system())
    if terminal.as_json:
        terminal.show(found)
        return
    echo(f"framewire {found.version}\n")
    terminal.table(
        ("PART", "READY", "DETAIL"),
        [(part.name, "yes" if part.ready else "no", part.detail) for part in found.parts],
    )
    echo()
    terminal.table(
        (
            "WORKER",
            "ALIVE",
            "DEVICE",
            "PRECISION",
            "BUSY",
            "LIVE",
            "FPS",
            "FRAMES",
            "CPU %",
            "MIB",
            "SANDBOX",
        ),
        [
            (
                worker.id,
                _state(worker),
                worker.device,
                worker.precision,
                f"{worker.busy}/{worker.slots}",
                f"{worker.live_busy}/{worker.live_slots}" if worker.live_slots else None,
                round(worker.fps, 1),
                worker.processed_frames,
                None if worker.cpu_percent is None else round(worker.cpu_percent),
                worker.rss_bytes // 2**20,
                sandbox_words(worker.sandbox),
            )
            for worker in found.workers
        ],
    )
    _show_other_roles(terminal, found)
    if found.dead_letters:
        click.echo()
        terminal.table(
            ("LEFT OUT", "BY", "CODE", "TASK", "PLACE", "WHY"),
            [
                (
                    letter.at,
                    letter.role,
                    letter.code,
                    letter.task,
                    f"{letter.topic}/{letter.partition} at {letter.offset}",
                    letter.message,
                )
                for letter in found.dead_letters
            ],
        )
    waiting = [lag for lag in found.lag if lag.lag]
    if waiting:
        echo()
        terminal.table(
            ("GROUP", "TOPIC", "PARTITION", "LAG"),
            [(lag.group, lag.topic, lag.partition, lag.lag) for lag in waiting],
        )


def _show_other_roles(terminal: Terminal, found: SystemResource) -> None:
    rows: list[tuple[object, ...]] = [
        (
            one.role,
            one.host,
            one.pid,
            "yes" if one.alive else "no",
            len(one.partitions),
            *_usage(one.cpu_percent, one.rss_bytes),
            one.waiting_for,
        )
        for one in found.consumers
    ]
    if found.api is not None:
        api = found.api
        usage = _usage(api.cpu_percent, api.rss_bytes)
        rows.append(("api", api.host, api.pid, "yes", None, *usage, None))
    if rows:
        echo()
        headers = ("ROLE", "HOST", "PID", "ALIVE", "PARTITIONS", "CPU %", "MIB", "WAITS FOR")
        terminal.table(headers, rows)


def _usage(cpu_percent: float | None, rss_bytes: int | None) -> tuple[int | None, int | None]:
    cpu = None if cpu_percent is None else round(cpu_percent)
    return cpu, None if rss_bytes is None else rss_bytes // 2**20


def _state(worker: WorkerResource) -> str:
    if not worker.alive:
        return "no"
    return "yes" if worker.device_fault is None else "device fault"
