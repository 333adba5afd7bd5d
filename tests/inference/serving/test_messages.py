"""Answers are checked where they arrive: a wrong one is refused with a reason."""

import json

import pytest

from artifacts import ArtifactReference
from bay_observation.errors import InferenceError
from inference.serving.messages import Observed, Reply, from_line, to_line

BATCH = "yard_20250702-071000"
CAPTURE = ArtifactReference("capture", "yard", BATCH, f"observation/yard/{BATCH}/capture.pkl", "a" * 64, 10, 1)
REFERENCE = ArtifactReference("observation", "yard", BATCH, f"observation/yard/{BATCH}/result.pkl", "b" * 64, 10, 1)
DONE = Reply("done", Observed(REFERENCE, 12, 34, {"C_2": "timed out"}, 1.5))


@pytest.mark.parametrize(
    "reply", [DONE, Reply("accepted"), Reply("busy", error="full"), Reply("failed", error="no", retry=False)]
)
def test_round_trip(reply: Reply) -> None:
    assert Reply.from_dict(from_line(to_line(reply.to_dict())), capture=CAPTURE) == reply


def observed(**changes: object) -> dict[str, object]:
    return {"status": "done", "observed": DONE.to_dict()["observed"] | changes}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({}, "status None is unknown"),
        ({"status": "well"}, "status 'well' is unknown"),
        ({"status": "done"}, "NoneType where a mapping"),
        (observed(reference=None), "a mapping, not NoneType"),
        (observed(reference=CAPTURE.to_dict()), "its reference is to observation/yard/.*capture"),
        (observed(reference=REFERENCE.to_dict() | {"sha256": "short"}), "no sha256"),
        (observed(frames="12"), "are not counts"),
        (observed(objects=-1), "are not counts"),
        (observed(seconds=None), "not a duration"),
        (observed(failures=["C_2"]), "not reasons by camera"),
        (observed(failures={"C_2": 4}), "not reasons by camera"),
    ],
)
def test_a_wrong_answer_is_refused(answer: dict[str, object], reason: str) -> None:
    with pytest.raises(InferenceError, match=reason):
        Reply.from_dict(json.loads(json.dumps(answer)), capture=CAPTURE)
