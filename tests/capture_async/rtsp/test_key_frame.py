from datetime import UTC, datetime

import pytest

from capture_async import FailureReason
from capture_async.errors import CameraError
from capture_async.rtsp.key_frame import KeyFrame, to_jpeg

SPS, PPS, KEY = b"\x67sps", b"\x68pps", b"\x65key"


async def test_a_key_frame_that_cannot_be_decoded_is_named_and_ffmpeg_says_nothing(capfd):
    with pytest.raises(CameraError) as caught:
        await to_jpeg(KeyFrame("H264", b"".join(b"\0\0\0\1" + unit for unit in (SPS, PPS, KEY)), datetime.now(UTC)))
    assert caught.value.reason is FailureReason.NOT_AN_IMAGE
    assert capfd.readouterr().err == ""
