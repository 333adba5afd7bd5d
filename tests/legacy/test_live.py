"""The commands against a real old Redis."""

import json
import threading
import time

import pytest
import redis

from bays import batch_id, load_bay
from lab.services.redis import redis_at
from legacy.encoding import Encoder, slot_text
from legacy.mapping import load_mapping

from .conftest import SLOT, STEP, floor_key
from .test_encoding import observation


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_at(tmp_path_factory.mktemp("redis"), password="old s3cret") as running:
        yield running


@pytest.fixture
def client(server, legacy, monkeypatch):
    monkeypatch.setenv("LEGACY_REDIS", server.url)
    monkeypatch.setenv("LEGACY_REDIS_PASSWORD", "old s3cret")
    with redis.Redis(port=server.port, password="old s3cret", decode_responses=True) as made:
        made.flushall()
        yield made


@pytest.fixture
def published(client, bay):
    """Two batches of every camera, as the mapping wants them."""
    encoder = Encoder(load_mapping(), bay)
    names = [camera.name for camera in bay.cameras]
    written = [encoder.publication(observation(names, SLOT + n * STEP)) for n in range(2)]
    for one in written:
        for key, fields in one.hashes.items():
            client.hset(key, mapping=fields)
    return written


def test_the_old_redis_is_checked_and_dumped(legacy, published, client, tmp_path):
    client.set("something else", "1")
    status, out, err = legacy("check")
    assert (status, err) == (0, "")
    assert "yard: 2 batches" in out
    status, out, _ = legacy("dump")
    assert status == 0
    (tmp_path / "dump.jsonl").write_text(out)
    assert len(out.splitlines()) == 2
    assert legacy("check", tmp_path / "dump.jsonl")[0] == 0


def test_odd_keys_of_the_old_redis_are_named(legacy, published, client):
    client.set(floor_key(), "no hash")
    client.hset(floor_key(SLOT + STEP), mapping={"blocks": b"\xff\xfe"})
    status, out, _ = legacy("check", "--json")
    said = {problem["what"] for problem in json.loads(out)["problems"]}
    assert status == 1
    assert {"a key is no hash", "floor.blocks: there is no blocks"} <= said
    assert legacy("dump")[0] == 1


@pytest.mark.slow(0.7)
@pytest.mark.parametrize(
    ("message", "said"),
    [
        (None, "the mapping fits"),
        ("completed", "a message is no JSON object"),
        ('{"batch_id": "yard_20250702-100000", "status": "completed"}', "message.count: there is no count"),
        ('{"batch_id": "9bay_1", "status": "completed", "count": 1}', "message.batch_id: names no batch"),
    ],
)
def test_messages_are_looked_at_as_they_come(legacy, published, client, message, said):
    def publish():
        end = time.monotonic() + 5
        while client.pubsub_numsub(published[0].channel)[0][1] == 0 and time.monotonic() < end:
            time.sleep(0.02)
        client.publish(published[0].channel, message or published[0].message)

    speaking = threading.Thread(target=publish)
    speaking.start()
    status, out, _ = legacy("check", "--listen", 0.6)
    speaking.join()
    assert said in out
    assert status == (0 if message is None else 1)


@pytest.mark.slow(0.4)
def test_a_bay_s_way_by_the_commands(legacy, client, make_bay, store, monkeypatch, tmp_path):
    monkeypatch.setenv("HISTORY_DB", f"sqlite:///{tmp_path / 'h.db'}")
    frames = {"base_path": str(tmp_path)}
    make_bay("yard", operating_hours=["03:00-03:01"], skip_times=[], migration={"owner": "old", "frames": frames})
    status, out, _ = legacy("own", "yard", "shadow", "--why", "the trial begins", "--author", "kim")
    assert (status, out) == (0, "yard: old → shadow, by kim; last published: nothing\n")
    assert legacy("status")[0] == 0
    client.set("bay_observation:last_published:yard", slot_text(SLOT - STEP))
    status, out, _ = legacy("own", "yard", "new", "--why", "ready", "--now")
    assert (status, load_bay("yard").migration.owner) == (0, "new")
    store.save("observation", "yard", batch_id("yard", SLOT), observation())
    status, out, _ = legacy("status", "--json")
    assert status == 1
    assert json.loads(out)["yard"]["waiting"] == 1
    listening = client.pubsub()
    listening.subscribe("cctv_image_state_updates")
    listening.get_message(timeout=1)
    assert legacy("bridge", "--once")[0] == 0
    assert client.get("bay_observation:last_published:yard") == slot_text(SLOT)
    client.set("bay_observation:owner:yard", "old")
    status, out, _ = legacy("status")
    assert status == 1
    assert "its file says new, bay_observation:owner:yard says 'old'" in out
    assert legacy("own", "8bay", "new", "--why", "x")[0] == 2
    assert legacy("bridge", "8bay", "--once")[0] == 2
