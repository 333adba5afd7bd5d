"""A GStreamer RTSP server, run by the system's own Python: `rtsp_server.py PORT`; it prints `ready` when it listens.

Login and password come on standard input, so that they stand on no command line.
So does the way of logging in, `digest` or `basic`: one line with tabs between the three.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

SOURCE = "videotestsrc is-live=true pattern=smpte ! video/x-raw,format=I420,width=320,height=192,framerate=10/1 ! "
X264 = SOURCE + "x264enc tune=zerolatency threads=1 key-int-max=5 speed-preset=ultrafast ! "
STREAMS = {
    "/h264": X264 + "rtph264pay name=pay0 pt=96",
    "/h264-inband": X264 + "rtph264pay config-interval=-1 mtu=300 name=pay0 pt=96",
    "/h265": SOURCE + "x265enc tune=zerolatency key-int-max=5 speed-preset=ultrafast ! rtph265pay name=pay0 pt=97",
    "/jpeg": SOURCE + "jpegenc ! rtpjpegpay name=pay0 pt=26",
    "/sound": "audiotestsrc is-live=true ! mulawenc ! rtppcmupay name=pay0 pt=0",
}


def main() -> None:
    login, password, method = sys.stdin.readline().rstrip("\n").split("\t")
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if method == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(login, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(login, password), token)
    server.set_auth(auth)
    for path, launch in STREAMS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        factory.set_shared(True)
        factory.add_role_from_structure(_role())
        server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    print("ready", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


def _role() -> Gst.Structure:
    role = Gst.Structure.new_empty("user")
    for permission in ("media.factory.access", "media.factory.construct"):
        role.set_value(permission, True)
    return role


main()
