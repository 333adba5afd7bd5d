"""What Airflow does to a trigger between the worker that defers and the triggerer that runs it."""

import json
from datetime import UTC, datetime

import pytest
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.serde import deserialize, serialize

from artifacts import ArtifactReference
from triggers import ArtifactTrigger, CaptureTrigger, InferenceTrigger

REFERENCE = ArtifactReference(
    "fusion", "yard", "yard_20250702-071000", "fusion/yard/yard_20250702-071000/result.pkl", "a" * 64, 10, 1
).to_dict()

TRIGGERS = [
    CaptureTrigger(bay_id="yard", batch_id="yard_20250702-071000", timeout=90.0),
    CaptureTrigger(bay_id="yard", batch_id="yard_20250702-071000", timeout=90.0, replaces="b" * 64),
    ArtifactTrigger(reference=REFERENCE, deadline=datetime(2025, 7, 2, 7, 19, tzinfo=UTC), poll_interval=2.0),
    InferenceTrigger(capture=REFERENCE, deadline=datetime(2025, 7, 2, 7, 19, tzinfo=UTC), poll_interval=2.0),
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: type(trigger).__name__)
def test_round_trip(trigger):
    classpath, kwargs = trigger.serialize()
    travelled = deserialize(json.loads(json.dumps(serialize(kwargs))))
    assert travelled == kwargs
    again = import_string(classpath)(**travelled)
    assert type(again) is type(trigger)
    assert again.serialize() == (classpath, kwargs)


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: type(trigger).__name__)
def test_a_trigger_takes_its_tasks_queue(trigger):
    assert trigger.supports_triggerer_queue is True


@pytest.mark.slow(5)
def test_no_login_in_what_is_stored():
    _, kwargs = TRIGGERS[0].serialize()
    assert set(kwargs) == {"bay_id", "batch_id", "timeout", "replaces"}
