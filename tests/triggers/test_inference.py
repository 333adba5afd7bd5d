"""InferenceTrigger: one event in every case, and a batch that is done once whoever runs the trigger."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from artifacts import ArtifactReference
from bay_observation.errors import ConfigError, InferenceError
from triggers import InferenceTrigger
from triggers.events import InferenceEvent

BATCH = "yard_20250702-071000"
CAPTURE = ArtifactReference("capture", "yard", BATCH, f"observation/yard/{BATCH}/capture.pkl", "a" * 64, 10, 1)


class Stats:
    """Keeps what Airflow's stats would send."""

    def __init__(self) -> None:
        self.sent: dict[str, object] = {}

    def incr(self, stat, count, *, tags):
        self.sent[stat] = (count, tags)

    def timing(self, stat, dt, *, tags):
        self.sent[stat] = (dt.total_seconds(), tags)


@pytest.fixture(autouse=True)
def stats(monkeypatch):
    kept = Stats()
    monkeypatch.setattr("triggers.inference.airflow_stats", lambda: kept)
    return kept


def trigger(deadline=None):
    return InferenceTrigger(
        capture=CAPTURE.to_dict(), deadline=deadline or datetime.now(UTC) + timedelta(minutes=5), poll_interval=0.01
    )


async def fire(started=None):
    events = [event async for event in (started or trigger()).run()]
    assert len(events) == 1
    return InferenceEvent.from_dict(events[0].payload, capture=CAPTURE)


async def test_tells_the_reference_that_the_server_published(serving, stats):
    async with serving():
        told = await fire()
    assert (told.status, told.error) == ("observed", "")
    assert told.reference.path == f"observation/yard/{BATCH}/result.pkl"
    assert told.counts == {"frames": 12, "objects": 34}
    assert told.failures == {"C_2": "timed out"}
    assert stats.sent["bay_inference.duration"] == (1.5, {"bay": "yard", "by": "server"})
    assert stats.sent["bay_inference.frames"][0] == 12
    assert stats.sent["bay_inference.objects"][0] == 34
    assert stats.sent["bay_inference.failures"][0] == 1


async def test_run_again_by_another_triggerer_it_joins_the_batch(serving, scripted_work):
    scripted_work.released.clear()
    async with serving():
        cut_off = asyncio.create_task(fire())
        await asyncio.to_thread(scripted_work.began.wait, 10)
        cut_off.cancel()
        await asyncio.gather(cut_off, return_exceptions=True)
        again = asyncio.create_task(fire())
        await asyncio.sleep(0.02)
        scripted_work.released.set()
        assert (await again).status == "observed"
    assert scripted_work.asked == [CAPTURE]


async def test_without_a_server_it_says_so(inference_sockets):
    told = await fire()
    assert told.status == "no_server"
    assert "no server has the models of bay yard" in told.error


async def test_a_server_that_stops_in_the_middle_is_told(serving, scripted_work):
    scripted_work.released.clear()
    async with serving(grace_s=0.01):
        waiting = asyncio.create_task(fire())
        await asyncio.to_thread(scripted_work.began.wait, 10)
    assert (await waiting).status == "no_server"


async def test_a_connection_that_breaks_is_told(inference_sockets):
    async def hang_up(reader, writer):
        await reader.readline()
        writer.close()

    server = await asyncio.start_unix_server(hang_up, str(inference_sockets / "yard.sock"))
    async with server:
        told = await fire()
    assert (told.status, "ended before it answered" in told.error) == ("no_server", True)


async def test_a_full_queue_is_asked_again_until_there_is_room(serving, scripted_work):
    other = ArtifactReference.from_dict(CAPTURE.to_dict() | {"sha256": "c" * 64})
    third = ArtifactReference.from_dict(CAPTURE.to_dict() | {"sha256": "d" * 64})
    scripted_work.released.clear()
    async with serving(limit=1) as server:
        await server.jobs.submit(other)
        await asyncio.to_thread(scripted_work.began.wait, 10)
        await server.jobs.submit(third)
        waiting = asyncio.create_task(fire())
        async with asyncio.timeout(10):
            while server.jobs.counts.refused < 2:  # noqa: ASYNC110 - what is waited for is told in no event
                await asyncio.sleep(0.005)
        scripted_work.released.set()
        assert (await waiting).status == "observed"


async def test_gives_up_at_its_deadline_and_leaves_the_batch_to_the_server(serving, scripted_work, monkeypatch):
    monkeypatch.setattr("triggers.inference._ONE_QUESTION_S", 0.05)
    scripted_work.released.clear()
    async with serving():
        told = await fire(trigger(datetime.now(UTC) + timedelta(seconds=0.05)))
        assert told.status == "timed_out"
        assert f"inference {BATCH}: the server was not done until" in told.error
        scripted_work.released.set()
        assert (await fire()).status == "observed"
    assert scripted_work.asked == [CAPTURE]


async def test_taken_over_after_its_deadline_it_still_asks_once(serving):
    async with serving():
        assert (await fire(trigger(datetime.now(UTC) - timedelta(hours=1)))).status == "observed"


@pytest.mark.parametrize(
    ("error", "retry"), [(InferenceError("the detector failed"), True), (ConfigError("yard.yaml:3"), False)]
)
async def test_a_batch_that_fails_is_told_with_its_reason(serving, scripted_work, error, retry):
    scripted_work.error = error
    async with serving():
        told = await fire()
    assert (told.status, told.error, told.retry) == ("failed", str(error), retry)


async def test_an_answer_of_another_batch_is_a_failure(serving, scripted_work):
    foreign = ArtifactReference.from_dict(
        CAPTURE.to_dict() | {"batch_id": "yard_x", "result_path": "observation/yard/yard_x/capture.pkl"}
    )
    publish = scripted_work.publish
    scripted_work.publish = lambda _: publish(foreign)
    async with serving():
        told = await fire()
    assert told.status == "failed"
    assert "its reference is to observation/yard/yard_x/result.pkl" in told.error


async def test_waiting_blocks_no_other_trigger(serving, scripted_work):
    from capture_async.metrics import LoopLag

    scripted_work.released.clear()
    async with serving():
        with LoopLag() as lag:
            waiting = asyncio.create_task(fire())
            await asyncio.to_thread(scripted_work.began.wait, 10)
            scripted_work.released.set()
            await waiting
    # Of what the triggerer warns of; a loop that waits for the server's answer in a call would be blocked for ever.
    assert lag.largest_s < 5
