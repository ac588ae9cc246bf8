"""GStreamer's RTSP server with a Digest login, for Debian's python3.

Its argument is the port; user and password are read from stdin: an argument list is public.
"""

import sys
from importlib import import_module
from typing import Any

SOURCE = (
    "videotestsrc is-live=true pattern=ball ! "
    "video/x-raw,width=640,height=360,framerate=10/1,format=I420 ! "
)
CODECS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=20 ! rtph264pay pt=96",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=20 ! rtph265pay pt=96",
    "jpeg": "jpegenc ! rtpjpegpay pt=26",
}


def main() -> None:
    gi: Any = import_module("gi")  # no dependency of ours
    for name in ("Gst", "GstRtsp", "GstRtspServer"):
        gi.require_version(name, "1.0")
    names = ("Gst", "GLib", "GstRtsp", "GstRtspServer")
    found: list[Any] = [import_module(f"gi.repository.{name}") for name in names]
    Gst, GLib, GstRtsp, GstRtspServer = found  # noqa: N806 - modules
    Gst.init(None)
    port, (user, password) = sys.argv[1], sys.stdin.read().split()
    server: Any = GstRtspServer.RTSPServer()
    server.set_service(port)
    server.set_address("127.0.0.1")
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token.set_string("media.factory.role", "user")
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for right in ("access", "construct"):
        permissions.add_permission_for_role("user", f"media.factory.{right}", True)
    for name, codec in CODECS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {SOURCE}{codec} name=pay0 )")
        factory.set_shared(True)
        factory.set_permissions(permissions)
        server.get_mount_points().add_factory(f"/{name}", factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
