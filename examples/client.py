"""Submit a video, follow its stream through every cut, print its tracks. Needs httpx alone.

    python examples/client.py VIDEO [--class pedestrian] [--fps 5] [--max-frames 300]

VIDEO is a file, which is sent along, or a URL that Framewire may read. FRAMEWIRE_URL and
FRAMEWIRE_KEY say where Framewire is. The exit code is 0 when the task succeeded.
"""

import argparse
import base64
import json
import os
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx

PAUSE_S = 1.0
HEARTBEAT_S = 15  # the server's comment after so much silence; a read waits twice as long


def main() -> int:
    """Return the process's exit code."""
    arguments = parser().parse_args()
    headers = {"Authorization": f"Bearer {os.environ['FRAMEWIRE_KEY']}"}
    timeout = httpx.Timeout(10, read=2 * HEARTBEAT_S)
    url = os.environ["FRAMEWIRE_URL"]
    with httpx.Client(base_url=url, headers=headers, timeout=timeout) as client:
        task = submit(client, request(arguments))
        print(task)
        reason = None
        for chunk in follow(client, task):
            reason = chunk["finish_reason"]
            if reason is None:
                print(line(chunk))
            elif reason == "error":
                say(f"the task failed: {chunk['error']['message']}")
        if reason not in {"stop", "max_frames"}:
            return 1
        print_tracks(answer(client, "GET", f"/v1/video/tasks/{task}/results").json()["tracks"])
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's words."""
    words = argparse.ArgumentParser(description="Submit a video and follow its stream.")
    words.add_argument("video", help="a file, or a URL that Framewire may read")
    words.add_argument("--class", dest="classes", action="append", help="may be repeated")
    words.add_argument("--fps", type=float, default=5.0, help="frames of a second to look at")
    words.add_argument("--max-frames", type=int, default=300)
    words.add_argument("--provider", help="who shall compute it, where there is a choice")
    return words


def request(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the body of the submission."""
    video: dict[str, Any] = {"type": "video_url", "url": arguments.video}
    if "://" not in arguments.video:
        data = base64.b64encode(Path(arguments.video).read_bytes()).decode()
        video = {"type": "video_base64", "data": data}
    video["sampling"] = {"mode": "fps", "value": arguments.fps}
    video["max_frames"] = arguments.max_frames
    step: dict[str, Any] = {"model": "detect"}
    if arguments.classes:
        step["parameters"] = {"classes": arguments.classes}
    return {"input": [video], "steps": [step], "model": arguments.provider}


def submit(client: httpx.Client, body: dict[str, Any]) -> str:
    """Return the new task's id. Sent again after a lost answer, its key makes it the same task."""
    once = {"Idempotency-Key": str(uuid.uuid4())}
    accepted = answer(client, "POST", "/v1/video/process", json=body, headers=once)
    return str(accepted.json()["id"])


def follow(client: httpx.Client, task: str) -> Iterator[dict[str, Any]]:
    """Yield every chunk once, whatever happens to the connections, until the log ends."""
    url = f"/v1/video/tasks/{task}/stream?heartbeat={HEARTBEAT_S}"
    offset = 0
    while True:
        try:
            with client.stream("GET", url, headers={"Last-Event-ID": str(offset)}) as response:
                if passes(response):
                    say(f"{response.status_code} at byte {offset}")
                else:
                    for end, data in events(response.iter_bytes()):
                        offset = end
                        if data == b"[DONE]":
                            return
                        yield json.loads(data)
                    say(f"the connection ended at byte {offset}")
        except httpx.TransportError as exc:
            say(f"the connection broke at byte {offset}: {exc or type(exc).__name__}")
        time.sleep(PAUSE_S)


def events(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the offset behind each event, and its data. What a cut left unfinished is dropped."""
    text = b""
    for piece in pieces:
        *whole, text = (text + piece).split(b"\n\n")
        for event in whole:
            fields = dict(row.split(b": ", 1) for row in event.split(b"\n") if b": " in row)
            if b"data" in fields:  # a heartbeat has none
                yield int(fields[b"id"]), fields[b"data"]


def answer(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    """Ask until there is an answer that will not be another one a second later."""
    while True:
        try:
            response = client.request(method, url, **options)
            if not passes(response):
                return response
            say(f"{response.status_code}: {response.text}")
        except httpx.TransportError as exc:
            say(f"no answer: {exc or type(exc).__name__}")
        time.sleep(PAUSE_S)


def passes(response: httpx.Response) -> bool:
    """Return whether the same request may succeed later; leave at a refusal that stays one."""
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
        return True
    if response.is_error:
        response.read()
        raise SystemExit(f"{response.status_code}: {response.text}")
    return False


def line(chunk: dict[str, Any]) -> str:
    """Return one frame's targets as a line."""
    targets = [target for result in chunk["delta"]["results"] for target in result["targets"]]
    shown = "  ".join(f"#{t['track_id']} {t['class']} {t['confidence']:.2f}" for t in targets)
    return f"frame {chunk['stream_info']['frame_index']:>5}  {shown}"


def print_tracks(tracks: list[dict[str, Any]]) -> None:
    """Print a line for each object that was followed."""
    print(f"\n{'TRACK':>5}  {'CLASS':<14}{'FIRST':>6}{'LAST':>6}{'FRAMES':>8}{'BEST':>6}")
    for track in tracks:
        print(
            f"{track['track_id']:>5}  {track['class']:<14}{track['first_frame']:>6}"
            f"{track['last_frame']:>6}{track['frames_seen']:>8}{track['best_confidence']:>6.2f}"
        )


def say(text: str) -> None:
    """Tell what goes on, apart from what was asked for."""
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
