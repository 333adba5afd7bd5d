"""The DAGs that Airflow gets: ids, tasks, queues, tags; and that one bay's faults stay that bay's."""

import importlib.util
import itertools
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Asset, AssetAlias

from bay_observation.errors import ConfigError
from bays import tracking_asset_uri
from operators.slot_schedule import SlotSchedule

DAGS = Path(__file__).parents[2] / "dags"

# What no host needs to parse the DAGs: cameras, models, geometry.
HEAVY = (
    "torch",
    "torchvision",
    "cv2",
    "zeep",
    "onvif",
    "ultralytics",
    "segment_anything",
    "aiohttp",
    "scipy",
    "shapely",
)


def parse(monkeypatch, dag_id=None, file="bay_dag_factory"):
    """Import a DAG file anew; as a worker does when it asks for one DAG."""
    if dag_id is not None:
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
    spec = importlib.util.spec_from_file_location(f"parsed_{file}", DAGS / f"{file}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dags_of(module):
    from airflow.sdk import DAG

    return {name: value for name, value in vars(module).items() if isinstance(value, DAG)}


@pytest.fixture
def dags(make_bay, monkeypatch):
    make_bay("yard", description="The Yard")
    return dags_of(parse(monkeypatch))


def test_three_dags_for_an_enabled_bay_and_none_for_a_disabled_one(make_bay, monkeypatch):
    make_bay("yard")
    make_bay("north")
    make_bay("closed", enabled=False)
    assert set(dags_of(parse(monkeypatch))) == {
        f"{task_type}_{bay}_dag" for task_type in ("observation", "fusion", "tracking") for bay in ("yard", "north")
    }


def test_no_run_holds_up_its_bay_for_ever(make_bay, monkeypatch):
    make_bay("yard", storage={"wait": 3600})
    dags = dags_of(parse(monkeypatch))
    assert dags["observation_yard_dag"].dagrun_timeout == timedelta(hours=2)
    for name in ("fusion_yard_dag", "tracking_yard_dag"):  # these wait for an artifact
        assert dags[name].dagrun_timeout == timedelta(hours=3)


def test_a_stage_may_wait_for_its_input_as_long_as_the_bay_allows(make_bay, monkeypatch):
    make_bay("yard", storage={"wait": 3600})
    dags = dags_of(parse(monkeypatch))
    for dag, task in (("observation", "run_inference"), ("fusion", "process_fusion"), ("tracking", "process_tracking")):
        assert dags[f"{dag}_yard_dag"].get_task(task).execution_timeout == timedelta(hours=1, minutes=30)
    assert dags["observation_yard_dag"].get_task("capture_images").execution_timeout == timedelta(minutes=30)


def test_tags(dags):
    assert set(dags["observation_yard_dag"].tags) == {"observation", "yard", "cctv", "observer"}
    assert set(dags["fusion_yard_dag"].tags) == {"fusion", "yard", "processor"}
    assert set(dags["tracking_yard_dag"].tags) == {"tracking", "yard", "processor"}


@pytest.mark.parametrize(
    ("dag_id", "tasks", "queue"),
    [
        (
            "observation_yard_dag",
            ["capture_images", "check_should_proceed", "run_inference", "trigger_fusion"],
            "obs_yard",
        ),
        ("fusion_yard_dag", ["process_fusion", "trigger_tracking"], "proc_yard"),
        ("tracking_yard_dag", ["process_tracking"], "proc_yard"),
    ],
)
def test_tasks_in_their_order_and_on_their_queue(dags, dag_id, tasks, queue):
    dag = dags[dag_id]
    assert [task.task_id for task in dag.topological_sort()] == tasks
    for task, after in itertools.pairwise(tasks):
        assert after in dag.get_task(task).downstream_task_ids
    assert {task.queue for task in dag.tasks} == {queue}
    assert {task.owner for task in dag.tasks} == {"samho-ops"}
    # What publishes without a spool tries for the bay's `storage.wait`, two hours, every two minutes.
    patient = {"process_fusion", "process_tracking"}
    assert {task.task_id: task.retries for task in dag.tasks} == {name: 62 if name in patient else 2 for name in tasks}
    assert {task.task_id for task in dag.tasks if task.has_retry_policy} == patient.intersection(tasks)
    assert {task.retry_delay for task in dag.tasks} == {timedelta(minutes=1)}
    assert {task.depends_on_past for task in dag.tasks} == {False}


def test_the_bay_says_how_soon_a_task_is_tried_again(make_bay, monkeypatch):
    make_bay(retry_delay=5)
    tasks = [task for dag in dags_of(parse(monkeypatch)).values() for task in dag.tasks]
    assert {task.retry_delay for task in tasks} == {timedelta(seconds=5)}


def test_every_dag_runs_once_at_a_time_and_never_catches_up(dags):
    for dag in dags.values():
        assert dag.max_active_runs == 1
        assert dag.catchup is False
        assert dag.start_date == datetime(2025, 1, 1, tzinfo=UTC)
        assert dag.description.startswith("The Yard - ")


def test_the_next_stage_is_triggered(dags):
    for dag_id, task_id, next_dag in (
        ("observation_yard_dag", "trigger_fusion", "fusion_yard_dag"),
        ("fusion_yard_dag", "trigger_tracking", "tracking_yard_dag"),
    ):
        task = dags[dag_id].get_task(task_id)
        assert task.trigger_dag_id == next_dag
        assert task.wait_for_completion is False


def test_no_task_starts_from_its_trigger(dags):
    # Airflow 3.3 creates such a trigger without a queue: it would run outside of the bay's network.
    for dag in dags.values():
        for task in dag.tasks:
            assert task.start_from_trigger is False


def test_only_observation_has_a_schedule(dags):
    assert dags["observation_yard_dag"].schedule == SlotSchedule("*/10 * * * *", timezone="UTC")
    for dag_id in ("fusion_yard_dag", "tracking_yard_dag"):
        assert dags[dag_id].schedule is None


def test_the_schedule_can_be_switched_off(make_bay, monkeypatch):
    make_bay("yard")
    monkeypatch.setenv("BAYS_SCHEDULE", "off")
    assert dags_of(parse(monkeypatch))["observation_yard_dag"].schedule is None
    monkeypatch.setenv("BAYS_SCHEDULE", "maybe")
    with pytest.raises(ConfigError, match="BAYS_SCHEDULE=maybe"):
        parse(monkeypatch)


def test_the_schedule_can_end_for_a_backtest(make_bay, monkeypatch):
    make_bay("yard")
    monkeypatch.setenv("BAYS_SCHEDULE", "until 2025-07-02T09:00:00+09:00")
    dags = dags_of(parse(monkeypatch))
    assert dags["observation_yard_dag"].schedule == SlotSchedule("*/10 * * * *", timezone="UTC")
    assert dags["observation_yard_dag"].end_date == datetime(2025, 7, 2, tzinfo=UTC)
    assert dags["fusion_yard_dag"].end_date is None
    for wrong in ("until 2025-07-02T09:00:00", "until tomorrow", "after 2025-07-02T09:00:00+09:00"):
        monkeypatch.setenv("BAYS_SCHEDULE", wrong)
        with pytest.raises(ConfigError, match=f"BAYS_SCHEDULE={wrong}".replace("+", "[+]")):
            parse(monkeypatch)


def test_tracking_hands_its_events_to_an_asset_and_nothing_else_does(dags):
    (outlet,) = dags["tracking_yard_dag"].get_task("process_tracking").outlets
    assert outlet == AssetAlias("tracking_yard")
    others = [task for name in ("observation_yard_dag", "fusion_yard_dag") for task in dags[name].tasks]
    assert all(task.outlets == [] for task in others)


def test_the_example_runs_on_the_asset_that_tracking_makes_events_of(monkeypatch):
    monkeypatch.setenv("REPORT_BAY", "yard")
    bag = DagBag(dag_folder=DAGS.parent / "docs" / "examples")
    assert bag.import_errors == {}
    asset = bag.dags["report_moves"].timetable.asset_condition
    assert asset == Asset(tracking_asset_uri("yard"))
    assert "report_moves" not in DagBag(dag_folder=DAGS).dags  # a yard does not get it unasked


def test_airflow_can_store_the_dags(dags, monkeypatch):
    from airflow.serialization.serialized_objects import DagSerialization

    housekeeping = parse(monkeypatch, file="housekeeping_dag").dag
    for dag_id, dag in {**dags, "housekeeping_dag": housekeeping}.items():
        stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
        assert DagSerialization.from_dict(stored).dag_id == dag_id


def test_housekeeping_runs_on_main_and_on_each_observer_of_a_bay_that_runs(make_bay, bays_folder, monkeypatch):
    make_bay("yard")
    make_bay("closed", enabled=False)
    (bays_folder / "broken.yaml").write_text("cameras: [")
    dag = parse(monkeypatch, file="housekeeping_dag").dag
    queues = {task.task_id: task.queue for task in dag.tasks}
    assert queues == {"clean_store": "default", "clean_airflow": "default", "clean_observer_yard": "obs_yard"}
    assert all(not task.upstream_task_ids for task in dag.tasks)
    assert dag.schedule == "40 18 * * *"
    monkeypatch.setenv("BAYS_SCHEDULE", "off")
    assert parse(monkeypatch, file="housekeeping_dag").dag.schedule is None
    assert not hasattr(parse(monkeypatch, "fusion_yard_dag", "housekeeping_dag"), "dag")


def test_a_worker_builds_the_dag_it_asks_for_and_reads_no_other_bay(make_bay, bays_folder, monkeypatch):
    make_bay("yard")
    (bays_folder / "broken.yaml").write_text("cameras: [")
    assert set(dags_of(parse(monkeypatch, "fusion_yard_dag"))) == {"fusion_yard_dag"}


def test_a_worker_gets_the_error_of_the_bay_it_asks_for(make_bay, bays_folder, monkeypatch):
    make_bay("yard")
    (bays_folder / "broken.yaml").write_text("cameras: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        parse(monkeypatch, "fusion_broken_dag")


def test_a_task_that_was_sent_out_runs_although_its_bay_was_disabled(make_bay, monkeypatch):
    make_bay("closed", enabled=False)
    assert set(dags_of(parse(monkeypatch, "tracking_closed_dag"))) == {"tracking_closed_dag"}


def test_a_broken_bay_takes_no_other_bay_down_and_is_shown_as_an_import_error(make_bay, bays_folder):
    make_bay("yard")
    (bays_folder / "broken.yaml").write_text("description: x\ncameras: 7\n")
    (bays_folder / "worse.yaml").write_text("cameras: [")
    bag = DagBag(dag_folder=DAGS)
    assert set(bag.dags) == {"observation_yard_dag", "fusion_yard_dag", "tracking_yard_dag", "housekeeping_dag"}
    assert [Path(file).name for file in bag.import_errors] == ["bay_config_check.py"]
    (shown,) = bag.import_errors.values()
    assert f"{bays_folder / 'broken.yaml'}:2: cameras" in shown
    assert "worse.yaml" in shown


def test_a_bay_enabled_by_name_that_has_no_file_is_shown(make_bay, monkeypatch):
    make_bay("yard")
    monkeypatch.setenv("BAYS_ENABLED", "yard, nowhere")
    bag = DagBag(dag_folder=DAGS)
    assert set(bag.dags) == {"observation_yard_dag", "fusion_yard_dag", "tracking_yard_dag", "housekeeping_dag"}
    (shown,) = bag.import_errors.values()
    assert "there is no bay nowhere" in shown


def test_the_shipped_bays_parse_without_an_error(monkeypatch):
    monkeypatch.delenv("BAYS_PATH", raising=False)
    bag = DagBag(dag_folder=DAGS)
    assert bag.import_errors == {}
    assert {"observation_3bay_north_dag", "fusion_3bay_north_dag", "tracking_3bay_north_dag"} <= set(bag.dags)


@pytest.mark.slow(3)
def test_parsing_needs_no_camera_model_or_geometry_library():
    code = f"""
import sys, time
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}} (absent on this host)', name=name)
sys.meta_path.insert(0, Absent())
import airflow.dag_processing.dagbag
started = time.perf_counter()
bag = airflow.dag_processing.dagbag.DagBag(dag_folder={str(DAGS)!r})
assert not bag.import_errors, bag.import_errors
assert 'observation_3bay_north_dag' in bag.dags
import operators, triggers
print(f'{{len(bag.dags)}} DAGs in {{time.perf_counter() - started:.2f}} s')
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ.copy(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout.splitlines()[-1])
