"""What a person does who has the client alone; run by a Python that need have nothing else.

It prints a line for each step, and ends with an error at the first one that goes wrong. The api is
in FRAMEWIRE_URL, a task of it in TASK.
"""

import asyncio
import contextlib
import io
import os

from console.cli.main import COMMANDS, run
from console.client.endpoint import Endpoint
from console.exit_codes import ExitCode

TASK = os.environ["TASK"]
KEYS = ("create", "list", "revoke", "rotate")
ASKING = (
    ["list"],
    ["status", TASK],
    ["results", TASK],
    ["stream", TASK, "--json"],
    ["tracks", "--class", "pedestrian"],
    ["models", "list"],
    ["system"],
    ["run", "https://example.com/a.mp4", "--show-request"],
    ["completion", "zsh"],
)
SERVERS_WORK = (
    ["up", "--data", "/nonexistent/x"],
    ["demo"],
    ["models", "add", "network.onnx"],
    ["verify"],
)


def main() -> None:
    for words in [[], *([name] for name in COMMANDS), *(["keys", name] for name in KEYS)]:
        step([*words, "--help"], ExitCode.DONE, "Usage: framewire")
    for words in ASKING:
        step(words, ExitCode.DONE, "")
    for words in SERVERS_WORK:
        step(words, ExitCode.FAILED, os.environ["REFUSAL"])
    asyncio.run(open_console())


def step(words: list[str], code: ExitCode, text: str) -> None:
    """Run a command; check its exit code, that it writes something, and that `text` is in it."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        ended = run(words)
    written = out.buffer.getvalue().decode()
    if ended != code or not written or text not in written:
        raise SystemExit(f"{words}: {ended}\n{written}")
    print("done:", *words)


async def open_console() -> None:
    """Open the console without a terminal, and wait until it shows the api's tasks."""
    from console.tui.app import ConsoleApp
    from console.tui.console_settings import ConsoleSettings

    endpoint = Endpoint(os.environ["FRAMEWIRE_URL"], os.environ["FRAMEWIRE_KEY"])
    app = ConsoleApp(endpoint, ConsoleSettings(tasks_s=0.3, system_s=0.3, draw_s=0.03))
    async with app.run_test(size=(120, 36)) as pilot:
        for _ in range(600):
            await pilot.pause(0.1)
            if "succeeded" in app.export_screenshot():  # a row of the list
                break
        else:
            raise SystemExit("the console shows no task")
        await pilot.press("2")
        await pilot.pause()
    print("done: console")


main()
