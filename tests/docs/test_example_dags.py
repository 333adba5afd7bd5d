"""Every example DAG of the documentation is parsed, and run by Airflow's own `dag.test()`."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PAGE = EXAMPLES.parent / "example_dags.md"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
# A real Airflow runs it on a real event: tests/test_pipeline.py.
ELSEWHERE = {"report_moves"}
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

pytestmark = pytest.mark.slow(4)


def test_every_example_is_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in NAMES if f"(examples/{name}.py)" not in page] == []


def test_every_example_is_parsed_without_an_error(make_bay):
    from airflow.dag_processing.dagbag import DagBag

    make_bay("3bay_north")
    bag = DagBag(dag_folder=EXAMPLES, load_op_links=False)
    assert bag.import_errors == {}
    assert sorted(bag.dags) == NAMES


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What came of each example's run, by its name."""
    root = tmp_path_factory.mktemp("examples")
    frames, archive = root / "frames", root / "archive"
    (root / "bays").mkdir()
    demo = yaml.safe_load((EXAMPLES.parents[1] / "bays" / "demo_bay.yaml").read_text(encoding="utf-8"))
    demo |= {"enabled": True}
    files = {"image_provider": "file", "image_provider_config": {"base_path": str(frames)}}
    night = {"image_provider": "night_archive", "image_provider_config": {"folder": str(archive)}, "enabled": False}
    for bay_id, changes in {"3bay_north": files, "4bay": files, "old_yard": night}.items():
        (root / "bays" / f"{bay_id}.yaml").write_text(yaml.safe_dump(demo | changes), encoding="utf-8")
    _write_frames([camera["name"] for camera in demo["cameras"]], frames, archive)
    now, later = NOW.isoformat(), (NOW + timedelta(minutes=10)).isoformat()
    orders = {
        "on_demand": {"slot": now},
        "two_bays": {"slot": later},
        "with_taskflow": {"slot": (NOW + timedelta(minutes=5)).isoformat()},
        "mapped_over_bays": {"slot": now},
        "custom_stage": {"slot": later, "conf": {"slot": later, "least_confidence": 1.0}},
        "night_archive": {"slot": now},
        "own_condition": {"slot": now},
        "fuse_a_day_again": {"slot": later, "conf": {"day": f"{NOW:%Y-%m-%d}"}},
        "shift_report": {"slot": later},
    }
    return _run(root, orders)


def _write_frames(cameras, frames, archive):
    import cv2
    import numpy as np

    jpeg = cv2.imencode(".jpg", np.full((1080, 1920, 3), 128, np.uint8))[1].tobytes()
    hour = archive / f"{NOW:%Y%m%d%H}"
    hour.mkdir(parents=True)
    for camera in cameras:
        (hour / f"{camera}.jpg").write_bytes(jpeg)
        for bay_id in ("3bay_north", "4bay"):
            path = frames / camera / f"{bay_id}_{camera}_{NOW:%Y%m%d%H%M%S}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)


def _run(root, orders):
    environment = os.environ | {
        "AIRFLOW_HOME": str(root / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "BAYS_PATH": str(root / "bays"),
        "BAYS_ENABLED": "3bay_north",
        "DATA_PATH": str(root / "data"),
        "CLOCK": "slot",
        "EXAMPLE_ARCHIVE_BAY": "old_yard",
        "EXAMPLE_REPORTS": str(root / "reports"),
        "INFERENCE_SOCKETS": str(root / "none"),
    }
    command = [sys.executable, str(Path(__file__).with_name("example_runs.py")), json.dumps(orders)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_example_is_run(runs):
    assert set(runs) | ELSEWHERE == set(NAMES)
    states = {name: run["state"] for name, run in runs.items()}
    assert states == dict.fromkeys(runs, "success"), {name: run["tasks"] for name, run in runs.items()}


def test_on_demand_goes_through_all_stages(runs):
    pushed = runs["on_demand"]["pushed"]
    assert pushed["capture_images"]["captured_count"] == 12
    assert pushed["process_tracking"]["stage"] == "tracking"


def test_two_bays_are_counted_together(runs):
    assert set(runs["two_bays"]["pushed"]["count_blocks"]) == {"3bay_north", "4bay"}


def test_taskflow_reads_the_floor_of_the_hour(runs):
    pushed = runs["with_taskflow"]["pushed"]
    assert pushed["slot_of_the_shift"] == NOW.isoformat()
    assert len(pushed["report"]) == runs["on_demand"]["pushed"]["process_fusion"]["block_count"]


def test_there_is_a_mapped_task_for_each_bay_that_runs(runs):
    run = runs["mapped_over_bays"]
    assert run["pushed"]["bays_that_run"] == ["3bay_north"]
    assert run["tasks"]["wait_for_bay[0]"] == "success"
    assert run["pushed"]["add_up"]["bays"] == 1


def test_a_stage_of_ones_own_leaves_blocks_out(runs):
    pushed = runs["custom_stage"]["pushed"]
    assert pushed["process_fusion"]["batch_id"] == pushed["leave_out"]["batch_id"]
    assert pushed["process_fusion"]["sha256"] != pushed["leave_out"]["sha256"]
    assert pushed["leave_out"]["size"] < pushed["process_fusion"]["size"]


def test_a_provider_of_ones_own_is_asked(runs):
    assert runs["night_archive"]["pushed"]["capture_images"]["captured_count"] == 12
