"""Cameras that are not ours: GStreamer's RTSP server, nginx-rtmp, ffmpeg, nginx with HLS.

    python -m tests.live.foreign --seconds 5

Runs what is installed, says what is missing, and has a whole stack follow each source for some
seconds. A source that gives no frames is a failure. On Debian: gir1.2-gst-rtsp-server-1.0,
python3-gi, gstreamer1.0-plugins-{base,good,ugly,bad}, nginx, libnginx-mod-rtmp and ffmpeg.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which
from typing import Final, NamedTuple

from console.client.sync_client import Client
from console.printable import echo
from console.stack.environment import without_options
from console.stack.running import running_stack
from streamproc.contract import env
from tests.live.demo import LOGIN, watch
from tests.ports import free_ports

GST_SERVER: Final = Path(__file__).with_name("gst_rtsp_server.py")
SYSTEM_PYTHON: Final = "/usr/bin/python3"
"""Debian's own, which has the bindings of GStreamer."""
RTMP_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_PICTURES: Final = ("-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10")
_H264: Final = (
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"),
    *("-pix_fmt", "yuv420p", "-threads", "1"),
)
_HLS: Final = ("-f", "hls", "-hls_time", "2", "-hls_list_size", "5", "-hls_flags")
_NGINX: Final = """
load_module {module};
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{rtmp}; application live {{ live on; }} }} }}
http {{ access_log off; server {{ listen 127.0.0.1:{http}; root {folder}/www; }} }}
"""


class Source(NamedTuple):
    """`command`: what sends it, started anew for each task; empty if it runs already."""

    name: str
    url: str
    command: tuple[str, ...] = ()
    transport: str = "tcp"
    has_login: bool = False


@contextmanager
def started(command: tuple[str, ...], told: str = "") -> Iterator[None]:
    """Run a server while the block runs; `told` is its whole input."""
    if not command:
        yield
        return
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if process.stdin is not None:
        process.stdin.write(told.encode())
        process.stdin.close()
    try:
        yield
    finally:
        process.kill()
        process.wait()


def missing() -> dict[str, str]:
    """Return what cannot be run here, and why."""
    found = {}
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    has_python = Path(SYSTEM_PYTHON).exists()
    command = [SYSTEM_PYTHON, "-c", probe]
    if not has_python or subprocess.run(command, capture_output=True, check=False).returncode:
        found["rtsp"] = "install gir1.2-gst-rtsp-server-1.0 and python3-gi"
    if which("ffmpeg") is None:
        found["http"] = found["nginx"] = "install ffmpeg"
    if which("nginx") is None or not RTMP_MODULE.exists():
        found["nginx"] = "install nginx and libnginx-mod-rtmp"
    return found


def rtsp_sources(port: int, stack: ExitStack) -> Iterator[Source]:
    stack.enter_context(started((SYSTEM_PYTHON, str(GST_SERVER), str(port)), " ".join(LOGIN)))
    for codec in ("h264", "h265", "jpeg"):
        for transport in ("tcp", "udp"):
            url = f"rtsp://127.0.0.1:{port}/{codec}"
            yield Source(f"gst-{codec}-{transport}", url, (), transport, has_login=True)


def http_sources(ports: list[int]) -> Iterator[Source]:
    kinds = {"mpegts": _H264, "flv": _H264, "mpjpeg": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p")}
    for port, (kind, codec) in zip(ports, kinds.items(), strict=True):
        url = f"http://127.0.0.1:{port}/cam"
        command = ("ffmpeg", "-nostdin", *_PICTURES, *codec, "-f", kind, "-listen", "1", url)
        yield Source(f"ffmpeg-{kind}", url, command)


def nginx_sources(folder: Path, rtmp: int, http: int, stack: ExitStack) -> Iterator[Source]:
    conf = folder / "nginx.conf"
    conf.write_text(_NGINX.format(module=RTMP_MODULE, folder=folder, rtmp=rtmp, http=http))
    stack.enter_context(started(("nginx", "-c", str(conf), "-e", str(folder / "start.log"))))
    url = f"rtmp://127.0.0.1:{rtmp}/live/cam"
    yield Source("nginx-rtmp", url, ("ffmpeg", "-nostdin", *_PICTURES, *_H264, "-f", "flv", url))
    key = folder / "key.bin"
    key.write_bytes(os.urandom(16))
    info = folder / "keyinfo"
    kinds = {
        "ts": (*_HLS, "delete_segments+program_date_time"),
        "fmp4": (*_HLS, "delete_segments", "-hls_segment_type", "fmp4"),
        "aes": (*_HLS, "delete_segments", "-hls_key_info_file", str(info)),
    }
    for kind, options in kinds.items():
        (folder / "www" / kind).mkdir(parents=True)
        out = folder / "www" / kind / "live.m3u8"
        command = ("ffmpeg", "-nostdin", *_PICTURES, *_H264, *options, str(out))
        yield Source(f"hls-{kind}", f"http://127.0.0.1:{http}/{kind}/live.m3u8", command)
    (folder / "www" / "key.bin").write_bytes(key.read_bytes())
    info.write_text(f"http://127.0.0.1:{http}/key.bin\n{key}\n")


def sources_toml(sources: list[Source]) -> str:
    login = 'user_env = "GATE_USER"\npassword_env = "GATE_PASSWORD"\n'
    return "".join(
        f'[[source]]\nname = "{one.name}"\nurl = "{one.url}"\ntransport = "{one.transport}"\n'
        f"{login if one.has_login else ''}"
        for one in sources
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live.foreign", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    lacking = missing()
    failed = []
    with (
        tempfile.TemporaryDirectory(prefix="framewire-foreign-") as directory,
        ExitStack() as servers,
    ):
        folder, ports = Path(directory), free_ports(6)
        folder.chmod(0o755)  # nginx serves as another user
        sources: list[Source] = []
        if "rtsp" not in lacking:
            sources += rtsp_sources(ports[0], servers)
        if "http" not in lacking:
            sources += http_sources(ports[1:4])
        if "nginx" not in lacking:
            sources += nginx_sources(folder, ports[4], ports[5], servers)
        listed = folder / "sources.toml"
        listed.write_text(sources_toml(sources))
        environ = without_options(os.environ) | {"GATE_USER": LOGIN[0], "GATE_PASSWORD": LOGIN[1]}
        arguments = [f"--data={folder / 'data'}", f"--sources={listed}"]
        with (
            running_stack(arguments, environ | {env.SOURCES: str(listed)}) as stack,
            Client(stack.url, stack.key) as client,
        ):
            for one in sources:
                with started(one.command):
                    _, seen = watch(client, seconds, source=f"camera:{one.name}", prints=False)
                echo(f"{one.name}: {seen.text}")
                if len(seen.ages_s) < 2:
                    failed.append(one.name)
    for part, reason in lacking.items():
        echo(f"not run: {part} ({reason})")
    echo(f"{len(sources) - len(failed)} of {len(sources)} sources gave frames")
    return 1 if failed or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
