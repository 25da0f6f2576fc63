"""An RTSP server on this machine, of GStreamer: run it with the Python of the system, which has its bindings.

On Debian: apt install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad} python3-gi. Then

    /usr/bin/python3 tools/live/rtsp_server.py PORT NAME=FILE.mkv... [--loss 0.1] [--certificate PEM] [--user A:B]

serves rtsp://127.0.0.1:PORT/NAME, each viewer from the start of the file, and prints "ready". ``--loss`` leaves out
that share of the RTP packets; with ``--certificate``, a certificate and its key in one file, it is rtsps://.
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port")
    parser.add_argument("mounts", nargs="+")
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--certificate")
    parser.add_argument("--user")
    arguments = parser.parse_args()
    loss = arguments.loss
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(arguments.port)
    permissions = None
    if arguments.certificate or arguments.user:
        permissions = guard(server, arguments.certificate, arguments.user)
    for mount in arguments.mounts:
        name, _, path = mount.partition("=")
        factory = GstRtspServer.RTSPMediaFactory()
        payloader = "rtph264pay config-interval=1 pt=96"
        tail = f"{payloader} ! identity drop-probability={loss} name=pay0" if loss else f"{payloader} name=pay0"
        if permissions is not None:
            factory.set_permissions(permissions)
        factory.set_launch(f'( filesrc location="{path}" ! matroskademux ! h264parse ! {tail} )')
        server.get_mount_points().add_factory(f"/{name}", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


def guard(server: GstRtspServer.RTSPServer, certificate: str | None, user: str | None) -> GstRtspServer.RTSPPermissions:
    """Have a server encrypt, and let in one user or, without one, everybody; returns the permissions of streams."""
    auth, token, permissions = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken(), GstRtspServer.RTSPPermissions()
    token.set_string("media.factory.role", "viewer")
    for what in ("access", "construct"):
        permissions.add_permission_for_role("viewer", f"media.factory.{what}", True)
    if certificate:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(certificate))
    if user:
        name, _, password = user.partition(":")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
    else:
        auth.set_default_token(token)
    server.set_auth(auth)
    return permissions


main()
