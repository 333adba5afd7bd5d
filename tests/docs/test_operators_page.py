"""docs/operators.md: its arguments, XCom keys, `conf`, events and attributes are those of the code."""

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger

import operators
import triggers
from artifacts import ArtifactReference, ArtifactStore
from bays import slot_of
from triggers.events import ArtifactEvent, CaptureEvent, InferenceEvent

PAGE = (Path(__file__).parents[2] / "docs" / "operators.md").read_text(encoding="utf-8")


def section(name):
    found = re.search(rf"^##+ {name}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/operators.md has no section {name}"
    return found[1]


def documented(name):
    """The JSON of a section; digests are shortened on the page."""
    text = re.search(r"```json\n(.*?)```", section(name), re.DOTALL)[1]
    return json.loads(re.sub(r'"\w{4}…"', f'"{"ab" * 32}"', text))


def table(name):
    """Names in the first column of a section's table."""
    rows = re.findall(r"^\| (`[^|]*`) \|", section(name), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def arguments(kind, base):
    """Names of the arguments that this project adds to those of Airflow's base class."""
    own = []
    for one in kind.__mro__:
        if one.__module__.split(".")[0] in ("operators", "triggers") and "__init__" in vars(one):
            parameters = inspect.signature(vars(one)["__init__"]).parameters.values()
            own += [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in own]
    return set(own) - set(inspect.signature(base.__init__).parameters)


@pytest.mark.parametrize("name", operators.__all__)
def test_every_operator_has_its_arguments_on_the_page(name):
    assert set(table(name)) == arguments(getattr(operators, name), BaseOperator)


@pytest.mark.parametrize("name", triggers.__all__)
def test_every_trigger_has_its_arguments_on_the_page(name):
    assert set(table(name)) == arguments(getattr(triggers, name), BaseTrigger)


def test_the_xcom_of_a_capture(day, airflow_context):
    context = airflow_context(slot_of(day.capture.batch_id))
    pushed = operators.ObservationOperator(task_id="capture_images", bay_id=day.bay.bay_id).execute(context)
    assert pushed.keys() == documented("ObservationOperator").keys()
    assert pushed["captured_count"] == documented("ObservationOperator")["captured_count"]


def test_the_xcom_of_an_inference(day, airflow_context, inference_sockets, monkeypatch):
    from inference.serving import Observed

    observed = Observed(day.observation, 11, 214, {"C_4": "timed out"}, 0.5)
    monkeypatch.setattr("inference.serving.observe_capture", lambda *_: observed)
    task = operators.InferenceOperator(task_id="t", bay_id=day.bay.bay_id, reference=day.capture.to_dict())
    assert task.execute(airflow_context()).keys() == documented("InferenceOperator").keys()


@pytest.mark.slow(1)
def test_the_xcom_of_a_fusion(day, airflow_context):
    task = operators.FusionOperator(task_id="t", bay_id=day.bay.bay_id, reference=day.observation.to_dict())
    assert task.execute(airflow_context()).keys() == documented("FusionOperator").keys()


@pytest.mark.slow(1)
def test_the_xcom_of_a_tracking(day, airflow_context):
    task = operators.TrackingOperator(task_id="t", bay_id=day.bay.bay_id, reference=day.fusion.to_dict())
    assert task.execute(airflow_context()).keys() == documented("TrackingOperator").keys()


def test_the_conf_of_a_started_run(day, airflow_context, monkeypatch):
    task = operators.TriggerStageOperator(
        task_id="t", trigger_dag_id="fusion_3bay_north_dag", reference=day.observation.to_dict()
    )
    monkeypatch.setattr(operators.TriggerStageOperator.__mro__[1], "execute", lambda *_: None)
    task.execute(airflow_context())
    conf = documented("TriggerStageOperator")
    assert task.conf.keys() == conf.keys()
    assert task.conf["observation"].keys() == conf["observation"].keys()


def test_the_events_of_the_triggers():
    captured = documented("CaptureTrigger")
    event = CaptureEvent.from_dict(captured, bay_id="3bay_north", batch_id=captured["batch_id"])
    assert event.to_dict() == captured

    waited = documented("ArtifactTrigger")
    observation = ArtifactEvent("whole", ArtifactReference.from_dict(waited["reference"])).to_dict()
    assert observation == waited

    observed = documented("InferenceTrigger")
    event = InferenceEvent.from_dict(observed, capture=ArtifactReference.from_dict(captured["reference"]))
    assert event.to_dict() == observed


@pytest.mark.parametrize("stage", ["capture", "observation", "fusion", "tracking"])
def test_what_load_gives_has_the_attributes_of_the_page(day, stage):
    row = re.search(rf"^\| `{stage}` \| `([\w.]+)` \| (.*) \|$", section("What `load` gives"), re.MULTILINE)
    value = ArtifactStore().load(getattr(day, stage))
    assert row[1] == f"{type(value).__module__.split('.')[0]}.{type(value).__name__}"
    attributes = re.findall(r"`(\w+)`", row[2])
    assert set(attributes) - {"slot"} == {field.name for field in fields(value)}
    assert all(hasattr(value, name) for name in attributes)
