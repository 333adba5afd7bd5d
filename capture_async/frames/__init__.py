"""Frames as a camera sends them: what a whole JPEG is."""
