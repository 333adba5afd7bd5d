"""The shared storage hangs in the middle of a day: nothing is lost, nothing is published twice, all in order.

Operators and triggers as Airflow calls them, on a FUSE mount in place of the file server; the
replicator as the process that it is. An observer has a spool, a processor has none.
"""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from artifacts import ArtifactReference, ArtifactStore, guard_for
from artifacts.hang_guard import _guards
from bay_observation.errors import StoreUnavailableError
from bays import batch_id
from capture_async.metrics import LoopLag
from inference.types import CameraObservation, Observation
from lab.simulation.failing_store import FailingStore, why_not
from operators import FusionOperator, InferenceOperator, ObservationOperator, TrackingOperator
from operators.conditions import check_execution_conditions
from operators.retrying import StorePatience
from tracking.history import History

pytestmark = [
    pytest.mark.slow(10),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "a FUSE mount can be made"),
]

BAY = "yard"
SLOTS = [datetime(2025, 7, 2, 7, 10, tzinfo=UTC) + timedelta(minutes=10 * number) for number in range(5)]
TIMEOUT_S = 2.0
STAGES = ("observation/{}/{}/capture.pkl", "observation/{}/{}/result.pkl", "fusion/{}/{}/result.pkl")


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("HISTORY_DB", f"sqlite:///{tmp_path}/history.db")
    monkeypatch.setenv("STORE_TIMEOUT", str(TIMEOUT_S))
    with FailingStore(tmp_path / "server") as server:
        monkeypatch.setenv("DATA_PATH", str(server.mount))
        yield server
    _guards.clear()


@pytest.fixture
def models(monkeypatch):
    """Models that see a floor without blocks, and count what they are shown."""
    from inference.service import InferenceService

    class Models:
        seen: list[str] = []

        def observe(self, batch, *, min_brightness, check_abandoned):
            self.seen.append(batch.batch_id)
            cameras = (CameraObservation(i.camera_name, i.captured_at, (1920, 1080), ()) for i in batch.images)
            return Observation(batch.batch_id, batch.bay_id, tuple(cameras))

    models = Models()
    monkeypatch.setattr(InferenceService, "for_bay", lambda *_: models)
    return models


class Host:
    """Runs tasks with the environment of an observer or a processor, and the triggers they defer to."""

    def __init__(self, context, monkeypatch, spool=None):
        self.context, self._monkeypatch, self._spool = context, monkeypatch, spool

    def __enter__(self):
        if self._spool is None:
            self._monkeypatch.delenv("SPOOL_PATH", raising=False)
        else:
            self._monkeypatch.setenv("SPOOL_PATH", str(self._spool))
        return self

    def __exit__(self, *_):
        self._monkeypatch.delenv("SPOOL_PATH", raising=False)

    async def run(self, task, slot=None):
        """What the task pushes; in a thread, as another process would."""
        step = await asyncio.to_thread(self._attempt, task.execute, self.context(slot))
        while isinstance(step, TaskDeferred):
            (event,) = [event async for event in step.trigger.run()]
            step = await asyncio.to_thread(
                self._attempt, getattr(task, step.method_name), self.context(slot), event.payload
            )
        return step

    @staticmethod
    def _attempt(method, *arguments):
        try:
            return method(*arguments)
        except TaskDeferred as deferred:
            return deferred


async def observe(host, slot):
    """Capture, conditions, inference; the Observation's reference as XCom has it."""
    with host:
        captured = await host.run(ObservationOperator(task_id="capture_images", bay_id=BAY), slot)
        ti = host.context(slot)["ti"]
        assert await asyncio.to_thread(check_execution_conditions, BAY, captured, ti)
        return await host.run(InferenceOperator(task_id="run_inference", bay_id=BAY, reference=captured), slot)


async def fuse_and_track(host, observation):
    with host:
        fused = await host.run(FusionOperator(task_id="process_fusion", bay_id=BAY, reference=observation))
        return await host.run(TrackingOperator(task_id="process_tracking", bay_id=BAY, reference=fused))


async def test_a_day_with_an_outage(
    server, tmp_path, make_bay, scripted_cameras, models, airflow_context, inference_sockets, monkeypatch
):
    make_bay(BAY, image_provider="scripted", image_provider_config={})
    spool = tmp_path / "spool"
    observer = Host(airflow_context, monkeypatch, spool)
    processor = Host(airflow_context, monkeypatch)
    observations = [await observe(observer, SLOTS[0])]
    await fuse_and_track(processor, observations[0])

    server.set_fault("hang")
    observations += [await observe(observer, slot) for slot in SLOTS[1:4]]
    _guards.clear()  # the processor is another process, and does not know yet that the store hangs
    with LoopLag() as lag:
        waiting = [asyncio.create_task(waits_for(observation, airflow_context())) for observation in observations[1:]]
        await asyncio.sleep(TIMEOUT_S)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "a thread is free"), 10)
    assert lag.largest_s < TIMEOUT_S  # no look at the store held up the triggerer's loop
    assert guard_for(str(server.mount)).under_way <= 16
    assert not any(task.done() for task in waiting)
    assert scripted_cameras.asked == 4 * 12
    assert len(list((spool / "pending" / BAY).iterdir())) == 6

    server.set_fault("healthy")
    service = await asyncio.to_thread(start_replicator, spool)
    try:
        assert await asyncio.wait_for(asyncio.gather(*waiting), 60) == ["whole"] * 3
        for observation in observations[1:]:
            await fuse_and_track(processor, observation)
        observations.append(await observe(observer, SLOTS[4]))
        await fuse_and_track(processor, observations[4])
    finally:
        service.terminate()
        assert service.wait(30) == 0

    batches = [batch_id(BAY, slot) for slot in SLOTS]
    published = [path for path in server.named() if not path.startswith("health/")]
    assert len(published) == 5 * 4  # capture, Observation, fusion, tracking
    assert set(Counter(published).values()) == {1}
    for stage in STAGES:
        assert [path for path in published if path in {stage.format(BAY, batch) for batch in batches}] == [
            stage.format(BAY, batch) for batch in batches
        ]
    assert models.seen == batches
    store = ArtifactStore(server.mount)
    assert store.batch_ids("tracking", BAY) == batches
    assert all(store.is_whole(ArtifactReference.from_dict(observation)) for observation in observations)
    with History(f"sqlite:///{tmp_path}/history.db") as history:
        told = history.batches(BAY, SLOTS[0], SLOTS[-1] + timedelta(minutes=1))
    assert [(each.slot, each.outcome) for each in told] == [(slot, "tracked") for slot in SLOTS]


def start_replicator(spool):
    command = [sys.executable, "-m", "artifacts", "replicate"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | {"SPOOL_PATH": str(spool)})


async def waits_for(observation, context):
    """The status with which the deferred fusion task of an Observation is woken."""
    task = FusionOperator(task_id="process_fusion", bay_id=BAY, reference=observation, poll_interval=0.1)
    with pytest.raises(TaskDeferred) as deferred:
        await asyncio.to_thread(task.execute, context)
    (event,) = [event async for event in deferred.value.trigger.run()]
    return event.payload["status"]


async def test_a_processor_fails_by_name_and_is_tried_again(
    server, make_bay, scripted_cameras, models, airflow_context, inference_sockets, monkeypatch, tmp_path
):
    make_bay(BAY, image_provider="scripted", image_provider_config={})
    observation = await observe(Host(airflow_context, monkeypatch, tmp_path / "spool"), SLOTS[0])
    processor = Host(airflow_context, monkeypatch)
    server.set_fault("full")
    patience = StorePatience(timedelta(hours=2))
    for try_number in (1, 10, 61):
        with pytest.raises(AirflowException, match="the file system is full") as failed:
            await fuse_and_track(processor, observation)
        assert isinstance(failed.value.__cause__, StoreUnavailableError)
        decision = patience.evaluate(failed.value, try_number, patience.retries)
        assert (decision.action.value, decision.retry_delay) == ("retry", timedelta(minutes=2))
    server.set_fault("healthy")
    assert (await fuse_and_track(processor, observation))["batch_id"] == batch_id(BAY, SLOTS[0])
