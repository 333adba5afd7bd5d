"""Airflow's REST API in the words of this project, for an Airflow that is one's own."""

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx

from bay_observation.errors import BayObservationError

# Seconds from one look to the next; a look takes at most a tenth of the time, or it would hold up what it looks at.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0
_PAUSE_PER_LOOK = 9
_FINISHED = ("success", "failed")
# Airflow's answers when another process writes to SQLite at the same moment: 500 where already the request's line in
# the audit log cannot be written.
_LOCKED = re.compile(r': 503 .*locked|: 500 .*"Database error"', re.DOTALL)


class AirflowClientError(BayObservationError):
    """Airflow refused a request, or took too long."""


class AirflowClient(ABC):
    """Starts runs and asks what became of them; the base of those that bring their Airflow along.

    Whoever can reach the API is its administrator (`simple_auth_manager_all_admins`).

    Args:
        home: folder of that Airflow; its logs are in `logs`.
    """

    error: ClassVar[type[AirflowClientError]] = AirflowClientError
    """What is raised when Airflow refuses or takes too long."""

    def __init__(self, home: Path) -> None:
        self.home = Path(home).resolve()
        self.headers: dict[str, str] = {}
        """Sent with every request; what is added counts from the next connection on."""
        self._client: httpx.Client | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Address of the API server."""

    def disconnect(self) -> None:
        """Let go of the API server; the next question connects again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def wait_for_dags(self, dag_ids: Iterable[str], timeout: float = 120) -> None:
        """Return once every one of these DAGs can be run.

        Raises:
            AirflowClientError: the time is over; Airflow's import errors are in the message.
        """
        wanted = set(dag_ids)

        def there() -> bool:
            return wanted <= {dag["dag_id"] for dag in self._get("dags", limit=100)["dags"]}

        try:
            self._wait(there, timeout, f"no DAGs {', '.join(sorted(wanted))}")
        except AirflowClientError as error:
            faults = "\n".join(self.import_errors().values())
            raise self.error(f"{error}\n{faults}") from error

    def trigger(
        self,
        dag_id: str,
        logical_date: datetime | None,
        conf: Mapping[str, Any] | None = None,
        *,
        due: datetime | None = None,
    ) -> str:
        """Start a run by hand; its id. Runs of one DAG that wait are started in the order of their dates.

        Args:
            dag_id: the DAG.
            logical_date: the slot (aware), or None for a run without one.
            conf: the run's configuration.
            due: the run starts then (aware); by default at once.
        """
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf or {})}
        if logical_date is not None:
            body["logical_date"] = logical_date.isoformat()
            body["run_after"] = (due or min(logical_date, datetime.now(UTC))).isoformat()
        return str(self._ask("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def backfill(self, dag_id: str, first: datetime, last: datetime, timeout: float = 120) -> int:
        """Start Airflow's backfill of a DAG's schedule, one run at a time, oldest first; the backfill's id.

        Airflow allows a DAG one backfill at a time, and notices an end only every half minute.

        Args:
            dag_id: a DAG with a schedule.
            first: earliest slot (aware).
            last: latest slot (aware), itself included.
            timeout: seconds that an earlier backfill of the DAG may take to be over.

        Raises:
            AirflowClientError: Airflow refuses it, or an earlier one goes on.
        """
        self._wait(
            lambda: all(each["completed_at"] for each in self._get("backfills", dag_id=dag_id)["backfills"]),
            timeout,
            f"an earlier backfill of {dag_id} is not over",
        )
        body = {
            "dag_id": dag_id,
            "from_date": first.isoformat(),
            "to_date": last.isoformat(),
            "max_active_runs": 1,
        }
        made: list[int] = []

        def taken() -> bool:
            try:
                made.append(int(self._ask("POST", "backfills", json=body)["id"]))
            except AirflowClientError as error:
                if not _LOCKED.search(str(error)):
                    raise
            return bool(made)

        self._wait(taken, timeout, f"a backfill of {dag_id} is not taken: the database is locked")
        return made[0]

    def count_runs(self, dag_id: str, *states: str) -> int:
        """How many runs of a DAG are in one of these states."""
        return int(self._get(f"dags/{dag_id}/dagRuns", state=list(states), limit=1)["total_entries"])

    def failed_runs(self, dag_id: str) -> list[str]:
        """Ids of a DAG's first hundred failed runs, oldest slot first."""
        runs = self._get(f"dags/{dag_id}/dagRuns", state="failed", order_by="run_after", limit=100)["dag_runs"]
        return [str(run["dag_run_id"]) for run in runs]

    def asset_events(self, uri: str) -> list[dict[str, Any]]:
        """Events of an asset, oldest first; `extra` and `created_dagruns` among the keys."""
        found = self._get("assets", uri_pattern=uri)["assets"]
        events = [event for each in found for event in self._get("assets/events", asset_id=each["id"])["asset_events"]]
        return sorted(events, key=lambda event: event["id"])

    def dag_runs(self, dag_id: str) -> list[dict[str, Any]]:
        """All runs of a DAG, oldest slot first; `state` and `dag_run_id` among the keys."""
        return list(self._get(f"dags/{dag_id}/dagRuns", order_by="run_after", limit=100)["dag_runs"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self._get(f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 300) -> str:
        """Wait until a run has ended; `success` or `failed`.

        Raises:
            AirflowClientError: a service died, or the time is over.
        """
        self._wait(lambda: self.run_state(dag_id, run_id) in _FINISHED, timeout, f"{dag_id} {run_id} has not ended")
        return self.run_state(dag_id, run_id)

    def wait_for_runs(self, dag_id: str, count: int, timeout: float = 300) -> list[dict[str, Any]]:
        """Wait until a DAG has `count` runs that have ended.

        Raises:
            AirflowClientError: a service died, or the time is over.
        """

        def ended() -> list[dict[str, Any]]:
            return [run for run in self.dag_runs(dag_id) if run["state"] in _FINISHED]

        self._wait(lambda: len(ended()) >= count, timeout, f"{dag_id} has not ended {count} runs")
        return ended()

    def wait_until(self, condition: Callable[[], bool], timeout: float, complaint: str) -> None:
        """Return once a condition holds.

        Raises:
            AirflowClientError: a service died, or the time is over; `complaint` begins the message.
        """
        self._wait(condition, timeout, complaint)

    def task_instances(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """State, queue, try number and times of a run's tasks, by task id."""
        found = self._get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """The log of one try, worker's and trigger's part together, a line per entry."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self._get(path, full_content=True)["content"]
        return "\n".join(entry if isinstance(entry, str) else _line(entry) for entry in content)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task has pushed."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self._get(path, deserialize=False)["value"]

    def clear(self, dag_id: str, run_id: str, task_ids: Iterable[str] | None = None) -> None:
        """Let a run's tasks run again: the given ones and all after them, or all."""
        body: dict[str, Any] = {
            "dag_run_id": run_id,
            "dry_run": False,
            "only_failed": False,
        }
        if task_ids is not None:
            body |= {"task_ids": list(task_ids), "include_downstream": True}
        self._ask("POST", f"dags/{dag_id}/clearTaskInstances", json=body)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Set a task's state by hand: `failed`, `success` or `skipped`."""
        self._ask("PATCH", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", json={"new_state": state})

    def live_triggerers(self) -> list[dict[str, Any]]:
        """The triggerers that Airflow takes for alive; `id` and `hostname` among the keys."""
        return list(self._get("jobs", job_type="TriggererJob", is_alive=True)["jobs"])

    def pause(self, dag_id: str) -> None:
        """Let no further run of a DAG start."""
        self._ask("PATCH", f"dags/{dag_id}", json={"is_paused": True})

    def unpause(self, dag_id: str) -> None:
        """Let a DAG's runs start; DAGs of the embedded Airflow are created unpaused."""
        self._ask("PATCH", f"dags/{dag_id}", json={"is_paused": False})

    def import_errors(self) -> dict[str, str]:
        """Airflow's import errors by file name."""
        return {error["filename"]: error["stack_trace"] for error in self._get("importErrors")["import_errors"]}

    # Of the Airflow that is asked

    @abstractmethod
    def _check_alive(self) -> None:
        """Raise if waiting is of no use any more."""

    def _reaching(self) -> AbstractContextManager[None]:
        """A context in which the API server can be connected to."""
        return nullcontext()

    # Inside

    def _wait(self, condition: Callable[[], bool], timeout: float, complaint: str) -> None:
        deadline = time.monotonic() + timeout
        while True:
            began = time.monotonic()
            if condition():
                return
            pause = _PAUSE_PER_LOOK * (time.monotonic() - began)
            self._check_alive()
            if time.monotonic() > deadline:
                raise self.error(f"{complaint} after {timeout:g} s; logs: {self.home / 'logs'}")
            time.sleep(min(max(pause, _SHORTEST_PAUSE), _LONGEST_PAUSE))

    def _get(self, path: str, **params: Any) -> Any:
        return self._ask("GET", path, params=params)

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            with self._reaching():
                answer = self._connected().request(method, path, **arguments)
        except httpx.HTTPError as error:
            self._check_alive()
            raise self.error(f"{method} {path}: {error!r}") from error
        if answer.is_error:
            raise self.error(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def _connected(self) -> httpx.Client:
        if self._client is None:
            token = httpx.get(f"{self.url}/auth/token", timeout=30).raise_for_status().json()["access_token"]
            self._client = httpx.Client(
                base_url=f"{self.url}/api/v2/",
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json", **self.headers},
                timeout=60,
            )
        return self._client


def _line(entry: Mapping[str, Any]) -> str:
    shown = [str(entry.get(key, "")) for key in ("timestamp", "level", "event")]
    rest = {key: value for key, value in entry.items() if key in ("error_detail", "result")}
    return " ".join(part for part in shown if part) + (f" {json.dumps(rest, default=str)}" if rest else "")
