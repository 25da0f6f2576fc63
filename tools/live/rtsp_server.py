"""An RTSP server on this machine, of GStreamer: run it with the Python of the system, which has its bindings.

On Debian: apt install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad} python3-gi. Then

    /usr/bin/python3 tools/live/rtsp_server.py PORT NAME=FILE.mkv... [--loss 0.1]

serves rtsp://127.0.0.1:PORT/NAME, each viewer from the start of the file, and prints "ready". ``--loss`` leaves out
that share of the RTP packets.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main(arguments: list[str]) -> None:
    loss = 0.0
    if "--loss" in arguments:
        place = arguments.index("--loss")
        loss = float(arguments[place + 1])
        del arguments[place : place + 2]
    port, *mounts = arguments
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    for mount in mounts:
        name, _, path = mount.partition("=")
        factory = GstRtspServer.RTSPMediaFactory()
        payloader = "rtph264pay config-interval=1 pt=96"
        tail = f"{payloader} ! identity drop-probability={loss} name=pay0" if loss else f"{payloader} name=pay0"
        factory.set_launch(f'( filesrc location="{path}" ! matroskademux ! h264parse ! {tail} )')
        server.get_mount_points().add_factory(f"/{name}", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


main(sys.argv[1:])
