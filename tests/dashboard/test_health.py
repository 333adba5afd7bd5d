"""How a bay is, from its history, its store, its observer's word and Airflow's database."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException

import dashboard
from artifacts import data_path
from capture_async.observer_note import BrightnessNote, ObserverNote, write_brightness, write_observer_note
from dashboard import poses
from dashboard.facts import FACTS
from dashboard.poses import _judged as judge


def _checks(health: Any) -> dict[str, Any]:
    return {one["name"]: one for one in health["checks"]}


def test_what_is_checked(ask: Callable[..., Any]) -> None:
    health = ask("bays/yard/health")

    checks = {name: one["state"] for name, one in _checks(health).items()}
    assert set(checks) == {
        *("floor", "cameras", "observer", "inference", "queue:obs_yard", "queue:proc_yard", "store", "disk")
    }
    # The newest slot is long ago, and nothing is known of the cameras and the observer of today.
    assert (checks["floor"], checks["observer"], checks["store"]) == ("failed", "unknown", "ok")
    assert {one["state"] for one in health["cameras"]} == {"unknown"}
    assert {one["out_of_pose"] for one in health["cameras"]} == {False}


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("note", "states"),
    [
        ({"spool": False}, ("ok", "unknown", None)),
        ({"spool": True, "replicator": True}, ("ok", "ok", "ok")),
        ({"spool": True, "replicator": True, "pending": 2, "oldest_s": 60.0}, ("ok", "warning", "ok")),
        ({"spool": True, "replicator": False, "pending": 2, "oldest_s": 3000.0}, ("ok", "failed", "failed")),
    ],
)
def test_the_observers_word(ask: Callable[..., Any], note: dict[str, Any], states: tuple[str | None, ...]) -> None:
    write_observer_note(data_path(), "yard", ObserverNote(datetime.now(UTC), **note))

    checks = _checks(ask("bays/yard/health"))

    assert tuple(checks[name]["state"] if name in checks else None for name in ("observer", "spool", "replicator")) == (
        states
    )


def test_what_an_observer_said_long_ago_is_not_known_now(ask: Callable[..., Any]) -> None:
    old = ObserverNote(datetime.now(UTC) - timedelta(hours=5), spool=True, replicator=True)
    write_observer_note(data_path(), "yard", old)

    checks = _checks(ask("bays/yard/health"))

    assert [checks[name]["state"] for name in ("observer", "spool", "replicator")] == ["failed", "unknown", "unknown"]


def test_latency_brightness_and_clock_of_each_camera(ask: Callable[..., Any], yard: Any) -> None:
    from capture_async.health import record_health
    from capture_async.types import Attempt, CameraFailure, CaptureBatch, CapturedImage, FailureReason

    slot = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
    frame = CapturedImage("C_2", "yard", slot, b"", (Attempt("frame", 0.4),))
    failure = CameraFailure("C_4", FailureReason.UNREACHABLE, "10.0.0.4: no route", (Attempt("unreachable", 2.0),))
    record_health(data_path(), CaptureBatch("yard_20250702-071000", "yard", (frame,), (failure,)))
    write_observer_note(data_path(), "yard", ObserverNote(datetime.now(UTC), clock_offsets={"C_2": -75.0}))
    write_brightness(data_path(), "yard", BrightnessNote(slot, {"C_2": yard.conditions.min_brightness - 1}))

    health = ask("bays/yard/health")

    cameras = {one["name"]: one for one in health["cameras"]}
    seen, other = cameras["C_2"], cameras["D_2"]
    assert (seen["latency_s"], seen["dark"], seen["clock_offset_s"], seen["clock_wrong"]) == (0.4, True, -75.0, True)
    assert (other["latency_s"], other["brightness"], other["clock_offset_s"]) == (None, None, None)
    assert "dark: C_2; clock wrong: C_2" in _checks(health)["cameras"]["detail"]


def test_a_failure_comes_with_what_to_do(yard: Any) -> None:
    from dashboard.api.routes.health import _cameras
    from dashboard.observer import facts_of
    from tracking.history import Batch

    slot = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
    batch = Batch(slot, "captured", "", None, None, None, ("C_2",), {"C_4": "timed out", "D_2": "eaten by a horse"})

    found = {one.name: one for one in _cameras(yard, [batch], facts_of(yard)[0], None)}

    assert found["C_4"].advice.startswith("It takes the connection and does not answer in time")
    assert (found["C_2"].advice, found["D_2"].advice) == ("", "")  # of a reason that is not known, nothing is said


def test_a_damaged_note_is_not_known(ask: Callable[..., Any]) -> None:
    folder = data_path() / "health" / "yard"
    folder.mkdir(parents=True)
    for name in ("state", "observer", "brightness"):
        (folder / f"{name}.json").write_text("{")

    assert _checks(ask("bays/yard/health"))["observer"]["state"] == "unknown"


def test_a_store_that_hangs_holds_up_no_page(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first question waits for its limit, and every other one has its answer at once."""
    released = threading.Event()

    def hang(*_: object) -> None:
        assert released.wait(60)

    monkeypatch.setattr("capture_async.health._LIMIT_S", 0.2)
    monkeypatch.setattr("capture_async.health.read_regular_file", hang)
    try:
        began = time.monotonic()
        checks = _checks(ask("bays/yard/health"))
        assert time.monotonic() - began < 5
    finally:
        released.set()
    assert [checks[name]["state"] for name in ("observer", "store", "disk")] == ["unknown", "failed", "unknown"]
    assert "hang" in checks["disk"]["detail"]


def test_free_space_is_asked_under_the_stores_guard(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(_: object) -> None:
        assert released.wait(60)

    monkeypatch.setenv("STORE_TIMEOUT", "0.5")
    monkeypatch.setattr("dashboard.disk.shutil.disk_usage", hang)
    try:
        assert _checks(ask("bays/yard/health"))["disk"]["state"] == "unknown"
    finally:
        released.set()


def test_the_page_has_korean_for_every_fact() -> None:
    """Facts that are but a value need none."""
    page = (Path(dashboard.__file__).parent / "web" / "src" / "facts.ts").read_text(encoding="utf-8")

    for name, english in FACTS.items():
        if re.sub(r"\{\w+\}", "", english).strip(" :"):
            found = re.search(rf'^  {name}: "(.*)",$', page, re.MULTILINE)
            assert found is not None, name
            assert set(re.findall(r"\{\w+\}", found[1])) == set(re.findall(r"\{\w+\}", english)), name


def test_a_store_that_is_no_folder_says_nothing_of_cameras(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.observer import facts_of

    monkeypatch.setenv("DATA_PATH", "s3://yard/bays")

    facts, note = facts_of(yard)

    assert note is None
    assert {one.latency_s for one in facts.values()} == {None}


def test_triggers_that_no_living_triggerer_runs_are_counted(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's own page says that the triggerer is healthy while one of another bay's is."""
    from triggers.listed_queues import ListedQueues
    from triggers.status import DeferredTask, Triggerer, status_of

    now = datetime.now(UTC)
    other = Triggerer(1, "there", now, now, True, ListedQueues(("obs_other",), True))
    tasks = [
        DeferredTask(
            "obs_yard", "observation_yard_dag", f"run {age}", "capture", now - timedelta(seconds=age), None, own
        )
        for age, own in ((300, "obs_yard"), (5, "obs_yard"), (300, "obs_other"))
    ]
    status = status_of(now, {"obs_yard", "proc_yard"}, [other], tasks, timedelta(seconds=30))
    monkeypatch.setattr("dashboard.api.routes.health.triggerer_status", lambda **_: status)

    health = ask("bays/yard/health")

    queues = {one["queue"]: (one["unclaimed"], one["triggerers"]) for one in health["queues"]}
    assert queues == {"obs_yard": (1, 0), "proc_yard": (0, 0)}
    assert [_checks(health)[f"queue:{name}"]["state"] for name in queues] == ["failed", "warning"]


def test_poses_are_judged_once_per_batch(
    api: Any, ask: Callable[..., Any], token: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    judged = poses.Poses(bay_id="yard", batches=["yard_20250701-230000"], cameras=[])
    monkeypatch.setattr(poses, "_judged", lambda bay_id: asked.append(bay_id) or judged)

    assert [ask("bays/yard/poses")["batches"] for _ in range(2)] == [["yard_20250701-230000"]] * 2
    assert asked == ["yard"]
    poses._known.clear()
    with poses._one_at_a_time:
        assert api.get("/api/v1/bays/yard/poses", headers=token("boss")).status_code == 503
    assert api.get("/api/v1/bays/other/poses", headers=token("boss")).status_code == 404


def test_the_commands_answer_and_its_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = {"camera": "C_2", "verdict": "out of pose", "reason": "turned by 2 degrees", "blocks": 9, "turned_px": 2.0}
    camera |= {"residual_px": 21.0} | dict.fromkeys(("angle_deg", "pan_deg", "tilt_deg", "roll_deg"), 2.0)
    answer = json.dumps({"bay_id": "yard", "batches": ["yard_20250701-230000"], "cameras": [camera]})
    done = [subprocess.CompletedProcess([], 1, answer, ""), subprocess.CompletedProcess([], 2, "", "no\nsuch bay\n")]
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done.pop(0))

    (found,) = judge("yard").cameras
    assert (found.verdict, found.angle_deg) == ("out of pose", 2.0)
    with pytest.raises(HTTPException, match="check-poses of bay yard failed: such bay"):
        judge("yard")
