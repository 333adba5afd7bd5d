"""Faults of a yard, each with the one alert that is to say so."""

from dataclasses import dataclass, field

from lab.benchmarks.alert_yard import AlertYard, Break
from tracking.history import BatchOutcome
from tracking.history.messages import Entry, enter


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: for the table.
        alert: that is to fire.
        breaks: the yard.
        labels: that the alert is to have.
        by_slot: nothing shows it before the next slot is due; the time counts from that slot.
    """

    name: str
    alert: str
    breaks: Break
    labels: dict[str, str] = field(default_factory=dict)
    by_slot: bool = True


_NORTH = {"bay": "north"}


def _set(**changes: object) -> Break:
    def breaks(yard: AlertYard) -> None:
        for name, value in changes.items():
            setattr(yard, name, value)

    return breaks


def _bay(**changes: object) -> Break:
    def breaks(yard: AlertYard) -> None:
        for name, value in changes.items():
            setattr(yard.bays["north"], name, value)

    return breaks


def _queue(queue: str, **changes: bool) -> Break:
    def breaks(yard: AlertYard) -> None:
        for name, value in changes.items():
            setattr(yard.queues[queue], name, value)

    return breaks


def _process(name: str) -> Break:
    def breaks(yard: AlertYard) -> None:
        yard.processes[name] = False

    return breaks


def _cameras(beyond_quorum: int | None) -> Break:
    """Cameras that give no frame: one, or all but the quorum and so many more."""

    def breaks(yard: AlertYard) -> None:
        bay = yard.bays["north"]
        names = [camera.name for camera in bay.config.cameras]
        count = 1 if beyond_quorum is None else len(names) - bay.config.camera_quorum + beyond_quorum
        bay.down |= set(names[:count])

    return breaks


def _wrong_file(yard: AlertYard) -> None:
    (yard.bays_folder / "north.yaml").write_text("enabled: perhaps\n", encoding="utf-8")


def _new_bay(yard: AlertYard) -> None:
    yard.add_bay("east")
    yard.bays["east"].paused = True


def _channel(yard: AlertYard) -> None:
    content = {"kind": "moved", "severity": "info", "where": "north", "what": "moved", "step": "happened"}
    content |= {"since": yard.now.isoformat()}
    enter(yard.history, [Entry("gone", "broken", "0" * 32, "0", "north", content, yard.now)], yard.now)


FAULTS: tuple[Fault, ...] = (
    Fault("one camera gives no frame", "CameraDown", _cameras(None), _NORTH),
    Fault("cameras down to the quorum", "QuorumNear", _cameras(0), _NORTH),
    Fault("the switch of most cameras is off", "BelowQuorum", _cameras(3), _NORTH),
    Fault("a bay's DAG is paused", "BaySilent", _bay(paused=True), _NORTH),
    Fault("a checkpoint is missing", "StageFails", _bay(failing=BatchOutcome.INFERENCE_FAILED), _NORTH),
    Fault("fusion fails", "StageFails", _bay(failing=BatchOutcome.FUSION_FAILED), _NORTH),
    Fault("tracking fails", "StageFails", _bay(failing=BatchOutcome.TRACKING_FAILED), _NORTH),
    Fault("a camera is knocked out of its pose", "CameraDrifted", _bay(drift={"C_2": 2.5}), _NORTH, by_slot=False),
    Fault("captures wait two minutes", "FramesLate", _bay(late_s=120.0), _NORTH),
    Fault("half of the floor vanishes at once", "FloorDoubted", _bay(doubted=True), _NORTH),
    Fault("a bay's file is wrong", "BayFileWrong", _wrong_file, _NORTH, by_slot=False),
    Fault("a new bay is never run", "BayNeverTracked", _new_bay, {"bay": "east"}, by_slot=False),
    Fault("an observer's triggerer dies", "QueueWithoutTriggerer", _queue("obs_north", triggerer=False), _NORTH, False),
    Fault(
        "a processor's triggerer dies", "QueueWithoutTriggerer", _queue("proc_north", triggerer=False), _NORTH, False
    ),
    Fault("a triggerer is full", "DeferredTaskUnclaimed", _queue("obs_north", full=True), _NORTH),
    Fault("an observer's worker dies", "NoWorkerTakesTasks", _queue("obs_north", worker=False), _NORTH),
    Fault("a processor's worker dies", "NoWorkerTakesTasks", _queue("proc_north", worker=False), _NORTH),
    Fault(
        "an observer's host dies",
        "QueueWithoutTriggerer",
        _queue("obs_north", triggerer=False, worker=False),
        _NORTH,
        False,
    ),
    Fault("the scheduler dies", "AirflowProcessSilent", _process("scheduler"), {"process": "scheduler"}, False),
    Fault(
        "the DAG processor dies", "AirflowProcessSilent", _process("dag_processor"), {"process": "dag_processor"}, False
    ),
    Fault("Airflow's database is away", "AirflowDatabaseAway", _set(airflow_away=True), by_slot=False),
    Fault("the history's database is away", "HistoryAway", _set(history_away=True), by_slot=False),
    Fault("the storage is away", "StoreDoesNotAnswer", _set(store_away=True), by_slot=False),
    Fault("the storage is slow", "StoreSlow", _set(store_latency_s=8.0), by_slot=False),
    Fault("the disk fills up", "DiskFillsUp", _set(days_left=9), by_slot=False),
    Fault("the disk is nearly full", "DiskAlmostFull", _set(days_left=1), by_slot=False),
    Fault("the exporter dies", "ExporterSilent", _set(exporter_away=True), by_slot=False),
    Fault("a channel takes no message", "MessagesWait", _channel, by_slot=False),
)
