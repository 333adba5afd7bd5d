"""What a small `make bench-pipeline` might have written."""

import json

import pytest

from lab.capacity.measured import batch_cost

STARTS = 8
SERVICES = (
    "scheduler",
    "api-server",
    "postgresql",
    "redis",
    "dag-processor",
    "triggerer",
    "observer-a",
    "processor-a",
    "triggerer-a",
    "cameras-a",
)


def slot(total_s, over_s=10.0):
    """A slot of one bay: half a second of each service for each start, on top of a tenth of a core idling."""
    work = {"capture_images": 1.0, "check_should_proceed": 0.0, "run_inference": 2.0, "trigger_fusion": 0.0}
    work |= {"process_fusion": 0.5, "trigger_tracking": 0.0, "process_tracking": 0.5}
    used = dict.fromkeys(SERVICES, 0.1 * over_s)
    for name in ("scheduler", "api-server", "postgresql"):
        used[name] += 0.05 * STARTS
    used["triggerer-a"] += 0.2
    used["cameras-a"] += 0.4
    used["observer-a"] += 2.0 + 0.1 * STARTS
    used["processor-a"] += 1.0 + 0.1 * STARTS
    return {
        "total_s": total_s,
        "batches": [{"seconds": {name: {"work": seconds} for name, seconds in work.items()}}],
        "cpu_s": used,
        "cpu_over_s": over_s,
        "database": {"transactions": 20 * over_s + 400, "wal_bytes": 1e6},
    }


@pytest.fixture
def document():
    case = {
        "idle_cpu": dict.fromkeys(SERVICES, 0.1),
        "idle_database": {"transactions": 20.0, "wal_bytes": 0.0},
        "connections": {"airflow": 30, "bay_history": 6},
        "alone": [slot(9.0), slot(9.4)],
        "two": [slot(10.0)],
        "together": [slot(12.0)],
    }
    return {"machine": {"cores": 2}, "cases": {"env/base.env": case}}


@pytest.fixture
def results(document, tmp_path):
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def cost(results):
    return batch_cost(results)
