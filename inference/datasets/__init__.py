"""Data sets: pictures with labels, as files that labelling tools and training programs know (COCO, YOLO, CVAT)."""

from inference.datasets.formats import FORMATS, read_dataset, write_dataset
from inference.datasets.types import Dataset, LabelledFrame, LabelledObject

__all__ = ["FORMATS", "Dataset", "LabelledFrame", "LabelledObject", "read_dataset", "write_dataset"]
