"""RTSP: signalling, RTP packets, and one decoded frame."""
