"""The fusion task: what it publishes, logs and hands on."""

from datetime import UTC, datetime

import pytest

from inference.types import CameraObservation, Observation
from operators import FusionOperator

BATCH = "yard_20250702-071000"


@pytest.fixture
def task(make_bay, store):
    bay = make_bay()
    captured = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
    cameras = tuple(CameraObservation(camera.name, captured, (1920, 1080), ()) for camera in bay.cameras)
    reference = store.save("observation", "yard", BATCH, Observation(BATCH, "yard", cameras))
    return FusionOperator(task_id="process_fusion", bay_id="yard", reference=reference.to_dict())


def test_publishes_the_floor_plan(task, store, airflow_context):
    pushed = task.execute(airflow_context())
    assert pushed["block_count"] == 0
    assert pushed["out_of_pose"] == []
    assert store.load(store.find("fusion", "yard", BATCH)).cameras[0] == "C_11"


def test_tells_of_cameras_out_of_their_pose(task, airflow_context, monkeypatch, capsys):
    monkeypatch.setattr("fusion.pipeline.out_of_pose", lambda *_: ("C_4", "D_7"))
    pushed = task.execute(airflow_context())
    assert pushed["out_of_pose"] == ["C_4", "D_7"]
    assert (
        "C_4, D_7 out of pose, fused without: run `bay-observation camera check-poses yard`" in capsys.readouterr().out
    )
