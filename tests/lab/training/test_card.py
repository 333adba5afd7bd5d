"""The card says which files were scored, and how."""

from pathlib import Path

import pytest

from bays import Models, load_bay
from inference.checkpoints import file_sha256
from inference.service import InferenceService
from lab.training.card import write_card

pytestmark = pytest.mark.slow(1)


def test_the_card_names_files_and_scores(checkpoints: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bay = load_bay("demo_bay").model_copy(update={"models": checkpoints})
    monkeypatch.setattr(InferenceService, "_services", {})
    write_card(tmp_path / "SCORES.md", bay, "500-505", {"mAP50": "0.924"})
    written = (tmp_path / "SCORES.md").read_text(encoding="utf-8")
    for file in (checkpoints.yolo_detection, checkpoints.sam_segmentation, checkpoints.classification):
        assert f"| `{file.name}` |" in written
        assert file_sha256(file) in written
    assert "score --bay demo_bay --yards 500-505" in written
    assert "| mAP50 | 0.924 |" in written
