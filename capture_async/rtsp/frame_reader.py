"""From RTP packets to the first whole frame of a track, whichever its codec."""

from capture_async.rtsp.packets import FrameAssembler, read_packet
from capture_async.rtsp.rtp_jpeg import JpegFrames
from capture_async.rtsp.sdp import VideoTrack
from capture_async.rtsp.video import VideoKeyFrames


class FrameReader:
    """The first whole key frame of a track.

    Args:
        track: from the session's description.
    """

    def __init__(self, track: VideoTrack) -> None:
        self._payload_type = track.payload_type
        self._next: int | None = None
        self._frames: FrameAssembler
        if track.codec == "JPEG":
            self._frames = JpegFrames()
        else:
            self._frames = VideoKeyFrames(track.codec, track.parameter_sets)

    def push(self, data: bytes) -> bytes | None:
        """Take in what an interleaved channel brought; the frame, once it is whole.

        Raises:
            CameraError: too large.
        """
        packet = read_packet(data)
        if packet is None or packet.payload_type != self._payload_type:
            return None
        if self._next is not None and packet.sequence != self._next:
            self._frames.lost()
        self._next = (packet.sequence + 1) & 0xFFFF
        return self._frames.push(packet)
