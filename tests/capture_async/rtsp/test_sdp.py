import pytest

from capture_async.errors import CameraError
from capture_async.rtsp.sdp import VideoTrack, video_track


def test_description():
    text = (
        "v=0\r\na=control:*\r\nm=audio 0 RTP/AVP 0\r\na=control:sound\r\n"
        "m=video 0 RTP/AVP 97\r\na=rtpmap:97 h265/90000\r\na=control:rtsp://10.0.0.1/x/trackID=2\r\n"
        "a=fmtp:97 sprop-vps=QAE=; sprop-sps=QgE=;sprop-pps=RAE=;other=%%%\r\n"
    )
    assert video_track(text) == VideoTrack(
        "H265", 97, "rtsp://10.0.0.1/x/trackID=2", (b"\x40\x01", b"\x42\x01", b"\x44\x01")
    )
    assert video_track("m=video 0 RTP/AVP 26\r\n") == VideoTrack("JPEG", 26, "*")
    for nothing in ("", "m=\r\n", "m=video\r\n", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"):
        with pytest.raises(CameraError, match="H264, H265 and JPEG"):
            video_track(nothing)
