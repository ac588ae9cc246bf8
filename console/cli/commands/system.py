"""`framewire system`: state of the service."""

import click

from api.contract.resources import WorkerResource
from console.cli.commands.options import asks_api
from console.cli.terminal import Terminal
from console.client import calls
from console.printable import echo
from console.tui.view_models.system import sandbox_words


@click.command
@asks_api
def system(terminal: Terminal) -> None:
    """Show the service's parts, workers, dead letters and Kafka consumer lag."""
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
                round(worker.fps, 1),
                worker.processed_frames,
                None if worker.cpu_percent is None else round(worker.cpu_percent),
                worker.rss_bytes // 2**20,
                sandbox_words(worker.sandbox),
            )
            for worker in found.workers
        ],
    )
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


def _state(worker: WorkerResource) -> str:
    if not worker.alive:
        return "no"
    return "yes" if worker.device_fault is None else "device fault"
