"""`framewire demo`: process a bundled clip with the whole service, on this machine."""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from console.cli.chunk_lines import chunk_line
from console.cli.commands.stream import read_chunk
from console.cli.commands.tasks import failure, fetch_results, print_results, wait_for_end
from console.cli.next_steps import after_demo
from console.cli.paths import CLIP
from console.cli.progress import chunk_progress
from console.cli.request_builder import RequestWords, build_request
from console.cli.terminal import Terminal
from console.client import calls
from console.client.log_stream import Following
from console.client.sync_client import Client
from console.client.video_input import video_input
from console.printable import echo
from console.stack.environment import without_options
from console.stack.installed import need_stack
from console.stack.plan import EMBEDDED, MEMORY, StackOptions
from console.stack.running import kafka_available, running_stack
from streamproc.contract.framing import DONE

_WORDS = RequestWords(detect=("pedestrian",), feature=True, fps=5.0)


@click.command
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep everything there; by default it is gone afterwards.",
)
@click.option(
    "--kafka",
    default=EMBEDDED,
    show_default=True,
    metavar=f"{EMBEDDED}|{MEMORY}|HOST:PORT",
    help="Apache Kafka as a child, an in-process one, or your own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as one line of JSON.")
def demo(data: Path | None, kafka: str, *, as_json: bool) -> int:
    """Start an embedded stack, process a bundled clip, and show its chunks and tracks."""
    need_stack(StackOptions(data=data or Path(), kafka=kafka))
    started_s = time.monotonic()
    if kafka == EMBEDDED and not kafka_available(os.environ):
        echo(
            "framewire: Apache Kafka's jars cannot be resolved here, so the demo goes on "
            "with --kafka memory: nothing survives its end.",
            err=True,
        )
        kafka = MEMORY
    with tempfile.TemporaryDirectory(prefix="framewire-demo-") as temporary:
        directory = data or Path(temporary)
        arguments = [f"--data={directory}", f"--kafka={kafka}", f"--file-root={CLIP.parent}"]
        # The demo has nothing to do with the servers that the caller's variables name.
        with (
            running_stack(arguments, without_options(os.environ)) as stack,
            Client(stack.url, stack.key) as client,
        ):
            code = _process(Terminal(as_json=as_json), client)
    echo(f"framewire: done in {time.monotonic() - started_s:.1f} s", err=True)
    echo(after_demo(Path(sys.executable), os.environ, data), err=True)
    return code


def _process(terminal: Terminal, client: Client) -> int:
    """Process the clip, show its chunks and tracks, and return the exit code."""
    video = video_input(str(CLIP), (CLIP.parent,))
    accepted = client.send(calls.submit(build_request(video, _WORDS)))
    echo(f"framewire: task {accepted.id}", err=True)
    n_columns = shutil.get_terminal_size((120, 24)).columns
    with chunk_progress(terminal) as progress:
        for piece in client.follow(Following(accepted.id)):
            for event in piece.events:
                if event.data == DONE:
                    continue
                chunk = read_chunk(event.data)
                progress.update(chunk)
                if chunk.finish_reason is None and not terminal.as_json:
                    progress.say(chunk_line(chunk, n_columns))
    task = wait_for_end(client, accepted.id)
    if task.status != "succeeded":
        raise failure(task)
    if not terminal.as_json:
        echo()
    print_results(terminal, fetch_results(client, accepted.id))
    return 0
