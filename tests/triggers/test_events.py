"""Events are checked again where they arrive: a wrong one is refused with a reason."""

import json

import pytest

from artifacts import ArtifactReference
from bay_observation.errors import ArtifactError, CaptureError, InferenceError
from triggers.events import ArtifactEvent, CaptureEvent, InferenceEvent

BATCH = "yard_20250702-071000"
REFERENCE = ArtifactReference("capture", "yard", BATCH, f"observation/yard/{BATCH}/capture.pkl", "a" * 64, 10, 1)
GOOD = CaptureEvent("captured", BATCH, REFERENCE, {"cameras": 12, "images": 11, "failures": 1}, {"C_2": "timed out"})


def test_round_trip():
    travelled = json.loads(json.dumps(GOOD.to_dict()))
    assert CaptureEvent.from_dict(travelled, bay_id="yard", batch_id=BATCH) == GOOD


def foreign(**changes):
    return GOOD.to_dict() | {"reference": REFERENCE.to_dict() | changes}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (None, "NoneType where a mapping"),
        ("captured", "str where a mapping"),
        ({}, "status None"),
        (GOOD.to_dict() | {"status": "fine"}, "status 'fine'"),
        (GOOD.to_dict() | {"batch_id": "yard_20250702-072000"}, "its batch_id is 'yard_20250702-072000'"),
        (GOOD.to_dict() | {"counts": None}, "counts"),
        (GOOD.to_dict() | {"counts": {"images": "12"}}, "no whole numbers"),
        (GOOD.to_dict() | {"counts": {"images": -1}}, "no whole numbers"),
        (GOOD.to_dict() | {"counts": {"cameras": 12}}, "does not count the images"),
        (GOOD.to_dict() | {"failures": ["C_2"]}, "failures"),
        (GOOD.to_dict() | {"failures": {"C_2": 4}}, "no reasons by camera"),
        (GOOD.to_dict() | {"reference": None}, "reference"),
        (foreign(sha256="short"), "no sha256"),
        (foreign(result_path="../../etc/passwd"), "does not fit its names"),
        (foreign(stage="fusion", result_path=f"fusion/yard/{BATCH}/result.pkl"), "its reference is to fusion/"),
    ],
)
def test_a_wrong_capture_event_is_refused(payload, reason):
    with pytest.raises(CaptureError, match=BATCH) as refused:
        CaptureEvent.from_dict(payload, bay_id="yard", batch_id=BATCH)
    assert reason in str(refused.value)


def test_a_reference_of_another_bay_is_refused():
    with pytest.raises(CaptureError, match="its reference is to observation/yard"):
        CaptureEvent.from_dict(GOOD.to_dict(), bay_id="other", batch_id=BATCH)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (7, "int where a mapping"),
        ({"status": "done"}, "status 'done'"),
        ({"status": "whole"}, "reference"),
        ({"status": "whole", "reference": REFERENCE.to_dict() | {"sha256": "b" * 64}}, "sha256 bbbbbbbb"),
    ],
)
def test_a_wrong_artifact_event_is_refused(payload, reason):
    with pytest.raises(ArtifactError) as refused:
        ArtifactEvent.from_dict(payload, expected=REFERENCE)
    assert reason in str(refused.value)


OBSERVATION = ArtifactReference("observation", "yard", BATCH, f"observation/yard/{BATCH}/result.pkl", "b" * 64, 10, 1)
OBSERVED = InferenceEvent(
    "observed", REFERENCE.sha256, OBSERVATION, {"frames": 11, "objects": 40}, {"C_2": "timed out"}
)


@pytest.mark.parametrize(
    "event", [OBSERVED, InferenceEvent("failed", REFERENCE.sha256, error="the detector failed", retry=False)]
)
def test_round_trip_of_inference(event):
    travelled = json.loads(json.dumps(event.to_dict()))
    assert InferenceEvent.from_dict(travelled, capture=REFERENCE) == event


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (None, "NoneType where a mapping"),
        ({"status": "done"}, "status 'done'"),
        (OBSERVED.to_dict() | {"capture_sha256": "c" * 64}, "its capture_sha256 is 'cccc"),
        (OBSERVED.to_dict() | {"counts": None}, "counts"),
        (OBSERVED.to_dict() | {"counts": {"frames": 11}}, "does not count the objects"),
        (OBSERVED.to_dict() | {"counts": {"frames": 11, "objects": -1}}, "no whole numbers"),
        (OBSERVED.to_dict() | {"failures": {"C_2": 4}}, "no reasons by camera"),
        (OBSERVED.to_dict() | {"reference": None}, "reference"),
        (OBSERVED.to_dict() | {"reference": REFERENCE.to_dict()}, "its reference is to observation/yard"),
    ],
)
def test_a_wrong_inference_event_is_refused(payload, reason):
    with pytest.raises(InferenceError, match=f"event of inference {BATCH}") as refused:
        InferenceEvent.from_dict(payload, capture=REFERENCE)
    assert reason in str(refused.value)
