"""Pictures for people: the floor plan of a slot, and camera frames with what was seen in them."""

from lab.evaluation.camera_picture import Picture, annotated_frame, contact_sheet
from lab.evaluation.floor_picture import floor_plan

__all__ = ["Picture", "annotated_frame", "contact_sheet", "floor_plan"]
