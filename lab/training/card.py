"""The card of a bay's models: what the files are, and their scores, as Markdown."""

from collections.abc import Mapping
from pathlib import Path

from bays import BayConfig
from bays.models import CheckpointKey
from inference.checkpoints import file_sha256
from inference.loading import models_path
from inference.service import InferenceService

_KEYS: tuple[CheckpointKey, ...] = ("yolo_detection", "sam_segmentation", "classification")


def write_card(path: Path, bay: BayConfig, yards: str, figures: Mapping[str, str]) -> None:
    """Write the card of the bay's models.

    Args:
        path: where to.
        bay: whose models.
        yards: the yards that were scored, as they were given.
        figures: scores by name, as `lab.training.scores` gives them.
    """
    models = bay.models
    loaded = InferenceService.for_bay(bay).models
    parts = (loaded.detector.model, loaded.segmenter.model, loaded.classifier.model)
    lines = [f"# Scores of the models of {bay.bay_id}", "", "| file | parameters | MB | sha256 |", "|---|---|---|---|"]
    for key, part in zip(_KEYS, parts, strict=True):
        file = models_path() / getattr(models, key)
        count = sum(parameter.numel() for parameter in part.parameters())
        lines.append(
            f"| `{file.name}` | {count / 1e6:.2f} M | {file.stat().st_size / 1e6:.2f} | `{file_sha256(file)}` |"
        )
    command = f"bay-observation models score --bay {bay.bay_id} --yards {yards} --card {path.name}"
    lines += ["", f"Written by `{command}`.", "", "| score | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in figures.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
