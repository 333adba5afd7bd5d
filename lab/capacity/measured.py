"""What one batch costs, as `make bench-pipeline` measured it (`lab/benchmarks/results/pipeline.json`)."""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bay_observation.errors import ConfigError

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "pipeline.json"
_CASE = "env/base.env"
_KINDS = {"alone": 1, "two": 2, "together": 3}
_CAPTURE = "capture_images"
_ON_MAIN = ("scheduler", "api-server", "postgresql", "redis", "dag-processor", "triggerer")


@dataclass(frozen=True)
class Task:
    """A task of a batch: how often its process starts, and the seconds of its stage's work."""

    name: str
    starts: int
    work_s: float


@dataclass(frozen=True)
class BatchCost:
    """What a batch takes, and what the cluster took for one, two and three of them at once.

    Attributes:
        tasks: in their order.
        scheduler_s, api_s, database_s, worker_s: seconds of CPU for one start of a task: of the scheduler, of the API
            server, of PostgreSQL with Redis, of the task's own process without its stage's work.
        triggerer_s: seconds of CPU of the bay's triggerer for one capture.
        idle_cores: cores that the services of the main server take while nothing happens.
        cores: of the machine on which all of this ran.
        simulated_s: seconds of CPU of the simulated cameras for one capture, on that machine.
        all_idle_cores: cores that everything on that machine takes while nothing happens.
        totals_s: seconds from the slot until all are tracked, by the number of bays.
        transactions, wal_bytes: of PostgreSQL, for one batch.
        idle_transactions_s: of PostgreSQL in a second while nothing happens, with three bays.
        connections: to PostgreSQL, with three bays.
    """

    tasks: tuple[Task, ...]
    scheduler_s: float
    api_s: float
    database_s: float
    worker_s: float
    triggerer_s: float
    idle_cores: float
    cores: int
    simulated_s: float
    all_idle_cores: float
    totals_s: Mapping[int, float]
    transactions: float
    wal_bytes: float
    idle_transactions_s: float
    connections: int

    @property
    def starts(self) -> int:
        """Starts of a task's process in a batch."""
        return sum(task.starts for task in self.tasks)

    @property
    def main_cpu_s(self) -> float:
        """Seconds of CPU that a batch costs the main server."""
        return self.starts * (self.scheduler_s + self.api_s + self.database_s)


def batch_cost(path: Path = RESULTS) -> BatchCost:
    """Read it.

    Raises:
        ConfigError: there is no such file, or it was written by an older `make bench-pipeline`.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return _cost(document["cases"][_CASE], document["machine"]["cores"])
    except (OSError, ValueError, KeyError, statistics.StatisticsError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{path} cannot be used ({reason}): run `make bench-pipeline`") from None


def _cost(case: Mapping[str, Any], cores: int) -> BatchCost:
    alone = case["alone"]
    tasks = _tasks(alone)
    starts = sum(task.starts for task in tasks)

    def cpu(*names: str) -> float:
        """Mean seconds of CPU of services in one batch, above what they take idling."""
        return statistics.mean(
            sum(
                max(0.0, float(used) - float(case["idle_cpu"][name]) * float(slot["cpu_over_s"]))
                for name, used in slot["cpu_s"].items()
                if name.startswith(names)
            )
            for slot in alone
        )

    def database(what: str) -> float:
        """Mean of what PostgreSQL did in one batch, above what it does meanwhile anyway."""
        idle = float(case["idle_database"][what])
        return max(
            0.0, statistics.mean(float(slot["database"][what]) - idle * float(slot["cpu_over_s"]) for slot in alone)
        )

    worked = sum(task.work_s for task in tasks if task.name != _CAPTURE)
    return BatchCost(
        tasks,
        scheduler_s=cpu("scheduler") / starts,
        api_s=cpu("api-server") / starts,
        database_s=cpu("postgresql", "redis") / starts,
        worker_s=max(0.0, cpu("observer-", "processor-") - worked) / starts,
        triggerer_s=cpu("triggerer"),
        idle_cores=sum(case["idle_cpu"][name] for name in _ON_MAIN),
        cores=cores,
        simulated_s=cpu("cameras-"),
        all_idle_cores=sum(case["idle_cpu"].values()),
        totals_s={bays: statistics.mean(slot["total_s"] for slot in case[kind]) for kind, bays in _KINDS.items()},
        transactions=database("transactions"),
        wal_bytes=database("wal_bytes"),
        idle_transactions_s=case["idle_database"]["transactions"],
        connections=sum(case["connections"].values()),
    )


def _tasks(slots: list[Mapping[str, Any]]) -> tuple[Task, ...]:
    batches = [batch for slot in slots for batch in slot["batches"]]
    return tuple(
        Task(
            name,
            2 if name == _CAPTURE else 1,
            statistics.mean(batch["seconds"][name]["work"] for batch in batches),
        )
        for name in batches[0]["seconds"]
    )
