"""Frames in, objects out: detect (YOLO), segment (SAM), classify the stage (YOLO-cls)."""
