"""Answers of the warm server, also for a batch that is requested twice or by a client that disconnected."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from artifacts import ArtifactReference
from bay_observation.errors import ArtifactError, ConfigError, InferenceError
from inference.serving import InferenceClient, NoServerError, Observed
from inference.serving.messages import LONGEST_LINE

BAY, BATCH = "yard", "yard_20250702-071000"


def capture_reference(batch: str = BATCH, digest: str = "a") -> ArtifactReference:
    return ArtifactReference("capture", BAY, batch, f"observation/{BAY}/{batch}/capture.pkl", digest * 64, 10, 1)


CAPTURE = capture_reference()
OBSERVED = Observed(
    ArtifactReference("observation", BAY, BATCH, f"observation/{BAY}/{BATCH}/result.pkl", "b" * 64, 10, 1),
    frames=12,
    objects=34,
    failures={"C_2": "timed out"},
    seconds=1.5,
)


@pytest.fixture
def client() -> InferenceClient:
    return InferenceClient(BAY)


async def until(true: Any) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - no event announces the condition
            await asyncio.sleep(0.005)


async def say(folder: Path, line: bytes) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(str(folder / f"{BAY}.sock"))
    writer.write(line)
    answer = await reader.readline()
    writer.close()
    return json.loads(answer)


async def test_a_batch_is_done_and_its_reference_comes_back(serving, client, scripted_work):
    async with serving():
        reply = await client.observe(CAPTURE)
    assert (reply.status, reply.observed) == ("done", OBSERVED)
    assert scripted_work.asked == [CAPTURE]


async def test_who_does_not_wait_is_told_at_once_and_finds_it_done_later(serving, client, scripted_work):
    scripted_work.released.clear()
    async with serving():
        assert (await client.submit(CAPTURE)).status == "accepted"
        assert (await client.submit(CAPTURE)).status == "accepted"
        scripted_work.released.set()
        assert (await client.observe(CAPTURE)).status == "done"
        assert (await client.submit(CAPTURE)).observed == OBSERVED
    assert scripted_work.asked == [CAPTURE]


async def test_a_repeated_request_joins_the_running_job(serving, client, scripted_work):
    scripted_work.released.clear()
    async with serving() as server:
        asking = [asyncio.create_task(client.observe(CAPTURE)) for _ in range(3)]
        await until(lambda: server.jobs.counts.joined == 2)
        scripted_work.released.set()
        assert {reply.status for reply in await asyncio.gather(*asking)} == {"done"}
    assert scripted_work.asked == [CAPTURE]


async def test_frames_that_were_taken_repeated_are_another_job(serving, client, scripted_work):
    repeated = capture_reference(digest="c")
    async with serving():
        await client.observe(CAPTURE)
        await client.observe(repeated)
    assert scripted_work.asked == [CAPTURE, repeated]


async def test_a_batch_whose_artifact_is_gone_is_done_again(serving, client, scripted_work):
    async with serving():
        await client.observe(CAPTURE)
        scripted_work.whole = False
        assert (await client.observe(CAPTURE)).status == "done"
    assert scripted_work.asked == [CAPTURE, CAPTURE]


async def test_a_client_that_leaves_does_not_take_the_batch_with_it(serving, client, scripted_work):
    scripted_work.released.clear()
    async with serving():
        asking = asyncio.create_task(client.observe(CAPTURE))
        await until(scripted_work.began.is_set)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        scripted_work.released.set()
        assert (await client.observe(CAPTURE)).status == "done"
    assert scripted_work.asked == [CAPTURE]


async def test_a_full_queue_is_told_with_the_remedy_and_takes_more_later(serving, client, scripted_work):
    first, second, third = (capture_reference(f"yard_20250702-0{hour}1000") for hour in (7, 8, 9))
    scripted_work.released.clear()
    async with serving(limit=1) as server:
        await client.submit(first)
        await until(scripted_work.began.is_set)
        await client.submit(second)
        reply = await client.observe(third)
        assert reply.status == "busy"
        assert "start another server for some of them" in reply.error
        assert server.health()["refused"] == 1
        assert (await client.submit(first)).status == "accepted"  # known ones may always be joined
        scripted_work.released.set()
        await client.observe(second)
        assert (await client.observe(third)).status == "done"


@pytest.mark.parametrize(
    ("error", "reason", "retry"),
    [
        (InferenceError("the detector failed"), "the detector failed", True),
        (ArtifactError("the file system is full"), "the file system is full", True),
        (ConfigError("yard.yaml:3: cameras"), "yard.yaml:3: cameras", False),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero", True),
    ],
)
async def test_a_failed_batch_is_told_and_the_next_one_is_done(serving, client, scripted_work, error, reason, retry):
    scripted_work.error = error
    async with serving() as server:
        reply = await client.observe(CAPTURE)
        assert (reply.status, reply.error, reply.retry) == ("failed", reason, retry)
        scripted_work.error = None
        assert (await client.observe(CAPTURE)).status == "done"  # a failure is not remembered
        assert (server.health()["failed"], server.health()["done"]) == (1, 1)


async def test_health_tells_of_bays_jobs_and_memory(serving, client, scripted_work):
    scripted_work.released.clear()
    async with serving():
        await client.submit(CAPTURE)
        await until(scripted_work.began.is_set)
        health = await client.health()
        scripted_work.released.set()
    assert health["status"] == "well"
    assert health["bays"] == [BAY]
    assert health["running"] == f"{BATCH}-{'a' * 16}"
    assert (health["waiting"], health["may_wait"]) == (0, 8)
    assert 10 < health["memory_mib"] <= health["peak_memory_mib"] + 1


async def test_the_socket_is_its_owners_alone_and_goes_with_the_server(serving, inference_sockets):
    path = inference_sockets / f"{BAY}.sock"
    async with serving():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_without_a_server_the_client_says_so(inference_sockets, client):
    with pytest.raises(NoServerError, match=r"yard\.sock: no server has the models of bay yard"):
        await client.observe(CAPTURE)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "is not JSON"),
        (b"[1]\n", "a mapping, not list"),
        (b"\n", "is not JSON"),
        (b'{"ask": "shut down"}\n', "unknown request 'shut down'"),
        (b'{"ask": "observe"}\n', "not a reference"),
        (b'{"ask": "observe", "capture": {"batch_id": "x"}}\n', "not a reference"),
        (b" " * (LONGEST_LINE + 2) + b"\n", "not a request that this server knows"),
    ],
)
async def test_a_foreign_question_is_refused(serving, inference_sockets, client, line, reason):
    async with serving():
        answer = await say(inference_sockets, line)
        assert answer["status"] == "failed"
        assert reason in answer["error"]
        assert answer["retry"] is False
        assert (await client.observe(CAPTURE)).status == "done"


@pytest.mark.parametrize(
    "changes",
    [
        {"result_path": "../../etc/passwd"},
        {"batch_id": "../yard_20250702-071000"},
        {"stage": "observation", "result_path": f"observation/{BAY}/{BATCH}/result.pkl"},
        {"bay_id": "other", "result_path": f"observation/other/{BATCH}/capture.pkl"},
    ],
)
async def test_only_captures_of_its_bays_in_the_store_are_looked_at(serving, inference_sockets, scripted_work, changes):
    request = {"ask": "observe", "wait": True, "capture": CAPTURE.to_dict() | changes}
    async with serving():
        answer = await say(inference_sockets, json.dumps(request).encode() + b"\n")
    assert (answer["status"], answer["retry"]) == ("failed", False)
    assert scripted_work.asked == []


async def test_stopping_finishes_what_runs_and_drops_what_waits(serving, client, scripted_work):
    other = capture_reference("yard_20250702-081000")
    scripted_work.released.clear()
    async with serving() as server:
        running = asyncio.create_task(client.observe(CAPTURE))
        await until(scripted_work.began.is_set)
        waiting = asyncio.create_task(client.observe(other))
        await until(lambda: server.jobs.waiting == 1)
        asyncio.get_running_loop().call_later(0.1, scripted_work.released.set)
    assert (await running).status == "done"
    assert (await waiting).status == "stopping"
    assert scripted_work.published == [CAPTURE]


async def test_stopping_abandons_what_does_not_end_in_time(serving, client, scripted_work):
    scripted_work.released.clear()
    async with serving(grace_s=0.05):
        running = asyncio.create_task(client.observe(CAPTURE))
        await until(scripted_work.began.is_set)
    reply = await running
    assert reply.status == "stopping"
    assert "before this batch was done" in reply.error
    assert scripted_work.published == []
