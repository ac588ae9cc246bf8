"""How fast a finished log is replayed, against nginx over the same bytes in the same run.

`python -m benchmarks.replay [MIB] [--rounds N]` starts a stack and an nginx of its own, and
compares

- cold: the api reads the log from S3 for the first time; nginx proxies the same bytes as one
  object of the same S3 (and, for information, as the same segments one after another);
- warm: the api has the log in its cache; nginx serves it as a file;
- 200 clients that come back to a cold log at once: no error, and how often S3 was read.

Every figure is the best of the rounds, and every round reads a copy of its own when cold.
Without nginx the api's own rates and the clients at once are measured all the same.
"""

import argparse
import asyncio
import http.client
import random
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from benchmarks.log_stack import MIB, LogStack, log_stack, make_log
from benchmarks.report import not_measured
from benchmarks.stack import add_stack_option
from streamproc.contract import object_keys

NGINX_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
N_AT_ONCE = 200
CROWD_MIB = 8
START_S = 20.0

NGINX_CONF = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream s3 {{ server {s3}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location /files/ {{ alias {directory}/; }}
        location / {{
            proxy_pass http://s3;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host {s3};
        }}
    }}
}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mib", type=int, nargs="?", default=200, help="size of the log")
    parser.add_argument("--rounds", type=int, default=3)
    add_stack_option(parser)
    args = parser.parse_args()
    binary = shutil.which("nginx", path=NGINX_PATH)
    if binary is None:
        not_measured("what nginx does, and the comparison with it", "install nginx")
    with (
        tempfile.TemporaryDirectory(prefix="framewire-replay-") as name,
        log_stack(Path(name) / "data", args.stack) as stack,
        ExitStack() as engines,
    ):
        nginx = engines.enter_context(Nginx(binary, Path(name), stack)) if binary else None
        measure(stack, nginx, make_log(args.mib * MIB), args.rounds)
        crowd(stack, make_log(CROWD_MIB * MIB))


class Nginx:
    """nginx before the stack's S3 and beside a directory of files."""

    def __init__(self, binary: str, directory: Path, stack: LogStack) -> None:
        self._binary = binary
        self.directory = directory
        self.netloc = f"127.0.0.1:{free_port()}"
        self._conf = directory / "nginx.conf"
        self._conf.write_text(
            NGINX_CONF.format(
                directory=directory,
                s3=urlsplit(stack.told["s3"]["endpoint"]).netloc,
                port=self.netloc.partition(":")[2],
            )
        )
        directory.chmod(0o755)  # its workers may be another user's

    def __enter__(self) -> Self:
        arguments = ["-p", str(self.directory), "-c", str(self._conf)]
        self._process = subprocess.Popen([self._binary, *arguments], stdout=subprocess.DEVNULL)
        deadline_s = time.monotonic() + START_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit("nginx did not start")
            time.sleep(0.02)
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as one:
            host, _, port = self.netloc.partition(":")
            return one.connect_ex((host, int(port))) == 0


def measure(stack: LogStack, nginx: Nginx | None, log: bytes, n_rounds: int) -> None:
    seconds: dict[str, list[float]] = {}

    def timed(what: str, netloc: str, paths: list[str], key: str = "") -> None:
        begun = time.perf_counter()
        got = fetch(netloc, paths, key)
        seconds.setdefault(what, []).append(time.perf_counter() - begun)
        assert got == len(log), f"{what}: {got} of {len(log)} bytes"

    api, key = urlsplit(stack.url).netloc, str(stack.told["key"])
    for n in range(n_rounds):
        task = stack.stored_log(log)
        path = f"/v1/video/tasks/{task}/stream?live=false"
        if nginx is not None:
            stack.s3.put_object(Bucket=stack.bucket, Key=f"whole/{n}", Body=log)
            timed("nginx, one object of S3", nginx.netloc, [signed(stack, f"whole/{n}")])
        timed("framewire, cold", api, [path], key)
        timed("framewire, warm", api, [path], key)
        if nginx is not None:
            (nginx.directory / "log").write_bytes(log)
            timed("nginx, a file", nginx.netloc, ["/files/log"])
            keys = segment_keys(stack, task)
            timed("nginx, segments of S3", nginx.netloc, [signed(stack, k) for k in keys])
    for what, took in seconds.items():
        rates = " ".join(f"{len(log) / MIB / s:7.0f}" for s in took)
        print(f"{what:<28}{len(log) / MIB / min(took):7.0f} MiB/s   rounds {rates}")
    if nginx is not None:
        best = {what: min(took) for what, took in seconds.items()}
        cold = best["nginx, one object of S3"] / best["framewire, cold"]
        warm = best["nginx, a file"] / best["framewire, warm"]
        print(f"cold / nginx proxying S3  {cold:.2f}   (to reach: 0.60)")
        print(f"warm / nginx and a file   {warm:.2f}   (to reach: 0.70)")


def segment_keys(stack: LogStack, task: str) -> list[str]:
    prefix = object_keys.segment_prefix(str(stack.told["project"]), task)
    pages = stack.s3.get_paginator("list_objects_v2").paginate(Bucket=stack.bucket, Prefix=prefix)
    return [found["Key"] for page in pages for found in page["Contents"]]


def crowd(stack: LogStack, log: bytes) -> None:
    """Let 200 clients come back to one cold log at once, each at an offset of its own."""
    task = stack.stored_log(log)
    before = s3_read_bytes(stack)
    target = urlsplit(stack.url)
    chance = random.Random(1)
    offsets = [0, *(chance.randrange(len(log)) for _ in range(N_AT_ONCE - 1))]

    async def one(offset: int) -> int:
        request = (
            f"GET /v1/video/tasks/{task}/stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: Bearer {stack.told['key']}\r\nLast-Event-ID: {offset}\r\n\r\n"
        ).encode()
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        n_bytes = 0
        while data := await reader.read(256 * 1024):
            n_bytes += len(data)
        writer.close()
        return n_bytes

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(one(offset) for offset in offsets))

    begun = time.perf_counter()
    got = asyncio.run(all_of_them())
    took = time.perf_counter() - begun
    n_whole = sum(n == len(log) - offset for n, offset in zip(got, offsets, strict=True))
    read = (s3_read_bytes(stack) - before) / len(log)
    print(
        f"{N_AT_ONCE} clients at once: {n_whole} got all in {took:.1f} s; "
        f"S3 was read {read:.2f} x the log   (at most 2)"
    )
    if n_whole != N_AT_ONCE:
        raise SystemExit("a client did not get the log")


def s3_read_bytes(stack: LogStack) -> float:
    """Return how many bytes the api has read of segments, by its own metrics."""
    for line in stack.http.get("/metrics").text.splitlines():
        if line.startswith("framewire_api_segment_read_bytes_total"):
            return float(line.split()[-1])
    raise SystemExit("the api does not tell what it read of S3")


def fetch(netloc: str, paths: list[str], key: str) -> int:
    """Read all paths over one connection and return how many bytes came."""
    connection = http.client.HTTPConnection(netloc)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    room = memoryview(bytearray(MIB))
    total = 0
    for path in paths:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"{netloc}{path}: {answer.status} {answer.read()[:300]!r}")
        while n_bytes := answer.readinto(room):
            total += n_bytes
    connection.close()
    return total


def signed(stack: LogStack, key: str) -> str:
    url = stack.s3.generate_presigned_url("get_object", {"Bucket": stack.bucket, "Key": key})
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main()
