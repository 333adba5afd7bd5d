"""`make bench-pipeline`: from the time of a slot to its tracking result, with Celery, and how much of it is Airflow's.

Builds the cluster of `cluster` twice (three bays, each on a host of its own): with Airflow's
defaults, that is `env/base.env` without its section on speed, and with `env/base.env` as it is.
In each, slots are sent to one bay alone, to two, and to all three at the same moment. Where the seconds
went is read from the logs of Airflow's own services; see `lab.benchmarks.timeline`. Prints every
figure beside its bar, writes `lab/benchmarks/results/pipeline.json`, and exits with 1 when a bar
does not hold, with 2 when nothing can be measured.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from rich.table import Table

from artifacts import ArtifactStore
from bay_observation.commands import output_console, run_command
from bay_observation.errors import BayObservationError
from bays import batch_id, dag_id
from bays.naming import TaskType
from lab.bars import Bar, bars_table, progress, spread
from lab.benchmarks.pipeline_cpu import cores_line, cpu_table
from lab.benchmarks.timeline import ACCOUNTS, TASKS, TASKS_OF, Batch, account, messages, read_task
from lab.cluster import STAGES, Cluster, missing
from lab.cluster.settings import section_of_base_env
from lab.machine import machine
from lab.services.ending import end_in_good_order

_RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("apache-airflow", "apache-airflow-providers-celery", "celery")
_BAYS = ("3bay_north", "4bay", "5bay")
_SPEED = "Speed of the orchestration"
_SHARE_BAR_S = 3.5
_TOGETHER_BAR = 1.3
_SLOT = timedelta(minutes=10)
_FIRST = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
_LEAD_S = 3.0  # runs are asked for so long before they are due: on a real day they are not
_LIMIT_S = 600.0  # of one batch, on a machine that does something else as well
_IDLE_S = 10.0  # of doing nothing, whose CPU is measured
_REST_S = 1.0  # what Airflow does after a batch's end must not weigh on the next one
_BEFORE, _AFTER = "Airflow's defaults", "env/base.env"


@dataclass(frozen=True)
class _Sent:
    """A batch that is over: its bay, when it was due, and its runs of the three DAGs."""

    bay_id: str
    due: datetime
    runs: tuple[str, ...]


@dataclass(frozen=True)
class _Slot:
    """Its batches; seconds of CPU of each service and what PostgreSQL did, idling included, in `over_s` seconds."""

    batches: tuple[_Sent, ...]
    cpu_s: Mapping[str, float]
    database: Mapping[str, float]
    over_s: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 when every bar holds, 1 when one does not, 2 when nothing can be measured."""
    options = _parser().parse_args(arguments)
    try:
        if lacking := missing():
            raise BayObservationError(f"no cluster on this machine: {lacking}")
        results = measure(options)
    except BayObservationError as error:
        print(error, file=sys.stderr)
        return 2
    bars = bars_of(results["cases"][_AFTER])
    results["bars"] = [{"name": bar.name, "figure": bar.figure, "bar": bar.bar, "holds": bar.holds} for bar in bars]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "pipeline.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console = output_console()
    for name, case in results["cases"].items():
        title = f"{name}: one bay alone, mean seconds of {len(case['alone'])} batches"
        console.print(stages_table(case["alone"], title))
    console.print(comparison_table(results["cases"]))
    console.print(cpu_table(results["cases"][_AFTER]))
    console.print(cores_line(results["cases"][_AFTER], results["machine"]["cores"]))
    console.print(bars_table(bars))
    console.print(f"written to {options.out}/pipeline.json")
    return 0 if all(bar.holds for bar in bars) else 1


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both cases, one after the other, as one document of JSON types.

    Raises:
        BayObservationError: a cluster cannot be built, or a batch does not come through at the first try.
    """
    began = time.monotonic()
    results: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(_LIBRARIES),
        "settings": {"slots": options.slots, "cameras": options.cameras, "bays": list(_BAYS)},
        "cases": {},
    }
    speed = section_of_base_env(_SPEED)
    # A cluster that fails leaves its logs.
    home = options.home or Path(tempfile.mkdtemp(prefix="bench-pipeline-"))
    for folder, name, leave_out in (("before", _BEFORE, speed), ("after", _AFTER, frozenset[str]())):
        if folder == "before" and options.only_after:
            continue
        progress(f"{name}: a cluster of {len(_BAYS)} bays is built in {home / folder}")
        results["cases"][name] = _case(home / folder, leave_out, options)
    if options.home is None:
        shutil.rmtree(home)
    results["took_s"] = time.monotonic() - began
    return results


def _case(home: Path, leave_out: Collection[str], options: argparse.Namespace) -> dict[str, Any]:
    """Slots of one bay alone and of all at once, in turn, so that both see the same machine."""
    sent: dict[str, list[_Slot]] = {"alone": [], "two": [], "together": []}
    with Cluster(
        home,
        bays=_BAYS,
        cameras=options.cameras,
        moment=_FIRST,
        leave_out=leave_out,
        env={"OMP_NUM_THREADS": "1"},
    ) as cluster:
        slots = (_FIRST + number * _SLOT for number in range(1 + len(sent) * options.slots))
        progress("warm-up")
        _send(cluster, next(slots), _BAYS)
        before, asked = cluster.cpu_s(), _database(cluster)
        time.sleep(_IDLE_S)
        idle = {name: seconds / _IDLE_S for name, seconds in _since(before, cluster.cpu_s()).items()}
        idle_database = {name: value / _IDLE_S for name, value in _since(asked, _database(cluster)).items()}
        for number in range(options.slots):
            progress(f"slot {number + 1} of {options.slots}: one bay alone, two, then all")
            sent["alone"].append(_send(cluster, next(slots), [_BAYS[number % len(_BAYS)]]))
            sent["two"].append(_send(cluster, next(slots), _BAYS[:2]))
            sent["together"].append(_send(cluster, next(slots), _BAYS))
        load = os.getloadavg()[0]
        workers = [name for name in cluster.services() if name.startswith(("observer-", "processor-"))]
        received = messages(cluster.log(name) for name in workers)
        idling = {"idle_cpu": idle, "idle_database": idle_database, "connections": _connections(cluster)}
        return (
            {"load_after": load}
            | idling
            | {
                kind: [
                    slot_document([_read(cluster, batch, received) for batch in slot.batches])
                    | {"cpu_s": slot.cpu_s, "database": slot.database, "cpu_over_s": slot.over_s}
                    for slot in slots_of_kind
                ]
                for kind, slots_of_kind in sent.items()
            }
        )


def _send(cluster: Cluster, slot: datetime, bays: Sequence[str]) -> _Slot:
    """Send a slot to some bays, due at the same moment, and wait until all have tracked it.

    The artifact store is asked, and Airflow at the end alone: questions cost its API server time.
    """
    cluster.set_time(slot)
    used, asked, began = cluster.cpu_s(), _database(cluster), time.monotonic()
    due = datetime.now(UTC) + timedelta(seconds=_LEAD_S)
    first = {bay: cluster.send(bay, slot, due) for bay in bays}
    if datetime.now(UTC) > due:
        raise BayObservationError(f"asking for {len(bays)} runs took more than {_LEAD_S:g} s: this machine is too busy")
    store = ArtifactStore(cluster.data())
    cluster.wait_until(
        lambda: all(store.find("tracking", bay, batch_id(bay, slot)) for bay in bays),
        _LIMIT_S,
        f"slot {slot:%H:%M} is not tracked",
    )
    sent = []
    for bay in bays:
        runs = [first[bay], *(_ended(cluster, stage, bay, slot) for stage in ("fusion", "tracking"))]
        sent.append(_Sent(bay, due, tuple(runs)))
    time.sleep(_REST_S)
    over = time.monotonic() - began
    return _Slot(tuple(sent), _since(used, cluster.cpu_s()), _since(asked, _database(cluster)), over)


def _since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    return {name: round(now[name] - before[name], 3) for name in now}


def _database(cluster: Cluster) -> dict[str, float]:
    """What PostgreSQL has done so far, for all of its databases."""
    asked = (
        "SELECT sum(xact_commit + xact_rollback), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') FROM pg_stat_database"
    )
    transactions, wal = _ask(cluster, asked)[0]
    return {"transactions": float(transactions), "wal_bytes": float(wal)}


def _connections(cluster: Cluster) -> dict[str, int]:
    """Connections to PostgreSQL, by database."""
    asked = "SELECT datname, count(*) FROM pg_stat_activity WHERE datname IS NOT NULL GROUP BY datname"
    return {str(name): int(count) for name, count in _ask(cluster, asked)}


def _ask(cluster: Cluster, question: str) -> list[Any]:
    address = cluster.history_db.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    with cluster.on_host(), engine.connect() as connection:
        return list(connection.execute(sa.text(question)).all())


def _ended(cluster: Cluster, stage: TaskType, bay: str, slot: datetime) -> str:
    """Id of a later stage's run of a slot, once it has ended well."""
    dag, batch = dag_id(stage, bay), batch_id(bay, slot)

    def runs() -> list[str]:
        return [
            run["dag_run_id"]
            for run in cluster.dag_runs(dag)
            if run["dag_run_id"].startswith(batch) and run["state"] == "success"
        ]

    cluster.wait_until(lambda: bool(runs()), _LIMIT_S, f"{dag} {batch} has not ended")
    return runs()[0]


def _read(cluster: Cluster, sent: _Sent, received: Mapping[str, Sequence[datetime]]) -> Batch:
    tasks = []
    for stage, run in zip(STAGES, sent.runs, strict=True):
        for task in TASKS_OF[stage]:
            path = f"dag_id={dag_id(stage, sent.bay_id)}/run_id={run}/task_id={task}/attempt=1.log"
            host = f"obs_{sent.bay_id}" if stage == "observation" else "main"
            tasks.append(read_task(cluster.home / host / "logs" / path, received.get(path, ())))
    return account(sent.bay_id, sent.due, tasks)


# -- printing -----------------------------------------------------------------------------------------


def slot_document(batches: Sequence[Batch]) -> dict[str, Any]:
    """The batches of one slot in JSON types; `total_s` until the last of them is tracked."""
    return {
        "total_s": max(batch.total for batch in batches),
        "batches": [
            {
                "bay": batch.bay_id,
                "total_s": batch.total,
                "work_s": batch.work,
                "own_share_s": batch.own_share,
                "seconds": batch.seconds,
            }
            for batch in batches
        ],
    }


def bars_of(case: Mapping[str, Any]) -> list[Bar]:
    """The two bars of a case: Airflow's own share of one batch, and three bays at once over one."""
    shares = [batch["own_share_s"] for slot in case["alone"] for batch in slot["batches"]]
    alone, together = ([slot["total_s"] for slot in case[kind]] for kind in ("alone", "together"))
    return [
        Bar("Airflow's own share of a batch", statistics.median(shares), "<=", _SHARE_BAR_S, "s", spread(shares)),
        Bar(
            "three bays at once, over one alone: slot due until all are tracked",
            _ratio(case, "total_s"),
            "<=",
            _TOGETHER_BAR,
            "",
            f"{min(together) / statistics.median(alone):.3g} to {max(together) / statistics.median(alone):.3g}",
        ),
    ]


def stages_table(slots: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Mean seconds of each task by account; the last line is the whole batch."""
    batches = [batch for slot in slots for batch in slot["batches"]]
    table = Table("", *ACCOUNTS, "Airflow", "all", title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    sums = dict.fromkeys(ACCOUNTS, 0.0)
    for task in TASKS:
        means = {name: statistics.mean(batch["seconds"][task][name] for batch in batches) for name in ACCOUNTS}
        sums = {name: sums[name] + means[name] for name in ACCOUNTS}
        table.add_row(task, *_cells(means), end_section=task == TASKS[-1])
    table.add_row("whole batch", *_cells(sums))
    return table


def comparison_table(cases: Mapping[str, Mapping[str, Any]]) -> Table:
    """Before and after: median seconds of a slot, alone and together."""
    table = Table("median seconds", *cases, title=f"Before and after, {len(_BAYS)} bays", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, words in (("alone", "one bay alone"), ("together", f"{len(_BAYS)} bays at once")):
        slots = [case[kind] for case in cases.values()]
        table.add_row(f"{words}: slot due until all tracked", *(_median(s["total_s"] for s in each) for each in slots))
        for name, what in (
            ("own_share_s", "Airflow's own share of a batch"),
            ("work_s", "the stages' work of a batch"),
        ):
            of_case = ([batch[name] for slot in each for batch in slot["batches"]] for each in slots)
            table.add_row(f"{words}: {what}", *(_median(values) for values in of_case))
    for name, what in (("total_s", "slot due until all tracked"), ("own_share_s", "Airflow's own share of a batch")):
        table.add_row(f"at once over alone: {what}", *(f"{_ratio(case, name):.2f} x" for case in cases.values()))
    return table


def _ratio(case: Mapping[str, Any], name: str) -> float:
    """Median of all bays at once over the median of one alone: of whole slots, or of their batches' share."""
    alone, together = (
        [slot[name] for slot in case[kind]]
        if name == "total_s"
        else [batch[name] for slot in case[kind] for batch in slot["batches"]]
        for kind in ("alone", "together")
    )
    return float(statistics.median(together) / statistics.median(alone))


def _cells(means: Mapping[str, float]) -> list[str]:
    own = sum(seconds for name, seconds in means.items() if name != "work")
    return [f"{seconds:.2f}" if seconds else "" for seconds in (*means.values(), own, own + means["work"])]


def _median(values: Iterable[float]) -> str:
    return f"{statistics.median(values):.2f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks.pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=4, help="of one bay alone, and of all at once, in each case (4)")
    parser.add_argument("--cameras", type=int, default=2, help="of each bay (2)")
    parser.add_argument("--only-after", action="store_true", help="leave Airflow's defaults out")
    parser.add_argument("--home", type=Path, help="folder for the clusters, which is left; a temporary one by default")
    parser.add_argument("--out", type=Path, default=_RESULTS, help=f"folder for the results ({_RESULTS})")
    return parser


if __name__ == "__main__":
    end_in_good_order()
    run_command(main)
