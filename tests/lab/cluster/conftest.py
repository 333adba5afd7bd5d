"""One cluster for the tests of this folder, and no longer: two bays of two cameras, every service on its host."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from artifacts import ArtifactStore
from bays import batch_id, dag_id
from lab.benchmarks.timeline import TASKS_OF

FIRST = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)
FAILED = ("failed", "upstream_failed")


class Day:
    """The slots that were sent to a cluster's bays, one after the other, by all tests."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.slots: list[datetime] = []
        self._runs: dict[tuple[str, datetime], str] = {}

    def send(self) -> datetime:
        """Send the next slot to every bay."""
        self.cluster.wait_until(self.cluster.answers, 300, "the API server does not answer")
        slot = FIRST + len(self.slots) * SLOT
        self.cluster.set_time(slot)
        self.slots.append(slot)
        for bay in self.cluster.bays:
            self._runs[bay, slot] = self.cluster.send(bay, slot)
        return slot

    def run(self, stage: str, bay: str, slot: datetime) -> str | None:
        """Id of a stage's run for a slot, if there is one yet."""
        if stage == "observation":
            return self._runs[bay, slot]
        runs = self.cluster.dag_runs(dag_id(stage, bay))
        return next((r["dag_run_id"] for r in runs if r["dag_run_id"].startswith(batch_id(bay, slot))), None)

    def tasks(self, bay: str, slot: datetime) -> dict[str, dict[str, Any]]:
        """The tasks of a slot in all three DAGs, by their ids."""
        tasks: dict[str, dict[str, Any]] = {}
        for stage in TASKS_OF:
            if run := self.run(stage, bay, slot):
                tasks |= self.cluster.task_instances(dag_id(stage, bay), run)
        return tasks

    def states(self, stage: str, bay: str, slot: datetime) -> dict[str, str | None]:
        """State of a stage's tasks, by their ids; nothing while it has no run."""
        run = self.run(stage, bay, slot)
        if run is None:
            return {}
        tasks = self.cluster.task_instances(dag_id(stage, bay), run)
        return {name: task["state"] for name, task in tasks.items()}

    def state(self, bay: str, slot: datetime, task: str) -> str | None:
        """State of a slot's task; None where it is not there yet."""
        stage = next(stage for stage, tasks in TASKS_OF.items() if task in tasks)
        return self.states(stage, bay, slot).get(task)

    def tracked(self, bay: str, slot: datetime) -> bool:
        """Whether a slot came through to the end."""
        for stage in TASKS_OF:  # no look at a stage before the one ahead of it is over
            states = self.states(stage, bay, slot)
            failed = {name: state for name, state in states.items() if state in FAILED}
            assert not failed, f"{batch_id(bay, slot)}: {failed}"
            if not states or set(states.values()) != {"success"}:
                return False
        return True

    def wait(self, *bays: str, slot: datetime | None = None, timeout: float = 420) -> None:
        """Return once a slot (the latest one) of these bays (all) is tracked."""
        wanted = slot or self.slots[-1]
        for bay in bays or self.cluster.bays:
            self.cluster.wait_until(
                lambda bay=bay: self.tracked(bay, wanted), timeout, f"{batch_id(bay, wanted)} is not tracked"
            )

    def keeps_the_promise(self) -> None:
        """Every slot of the day that was captured is tracked once, in order; and all were captured."""
        from lab.cluster import account

        accounts = [account(self.cluster, bay, self.slots) for bay in self.cluster.bays]
        for each in accounts:
            retried = {name: t["try_number"] for name, t in self.tasks(each.bay_id, self.slots[-1]).items()}
            print(each, {name: number for name, number in retried.items() if number > 1})
            assert each.wrong == (), str(each)
            assert each.tracked == each.captured == each.sent, str(each)

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.cluster.data())


@pytest.fixture(scope="package")
def on_disk() -> Iterator[Path]:
    """A folder outside of memory, and so all that servers make for themselves: each host has its own `/dev/shm`."""
    with pytest.MonkeyPatch.context() as patch:
        if Path(tempfile.gettempdir()).is_relative_to("/dev/shm"):
            patch.delenv("TMPDIR")
            patch.setattr(tempfile, "tempdir", None)
        with tempfile.TemporaryDirectory(prefix="bay-cluster-") as folder:
            yield Path(folder)


@pytest.fixture(scope="package")
def cluster(on_disk: Path) -> Iterator[Any]:
    from lab.cluster import Cluster, missing

    if lacking := missing():
        pytest.skip(f"no cluster on this machine: {lacking}")
    with Cluster(
        on_disk / "cluster",
        bays=["3bay_north", "4bay"],
        cameras=2,
        moment=FIRST,
        env={
            "OMP_NUM_THREADS": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.4",  # a pass each 0.1 s takes an eighth of a core
        },
    ) as cluster:
        yield cluster


@pytest.fixture(scope="package")
def day(cluster: Any) -> Day:
    return Day(cluster)
