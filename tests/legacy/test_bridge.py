"""The bridge against a real Redis: once, in order, for the owner alone."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
import redis

from bay_observation.errors import ConfigError, HistoryUnavailableError, StoreUnavailableError
from bays import batch_id, bays_path, load_bay
from lab.services.redis import redis_at
from legacy.bridge import Bridge, BridgeLog, BridgeState
from legacy.connection import LegacyRedisError, OldSide
from legacy.encoding import slot_text
from legacy.ownership import Ownership, slot_in_work
from legacy.running import _Bridges, run_bridge
from tracking.history import BatchOutcome, History
from tracking.history.owners import last_published, note_published, owner_changes

from .conftest import SLOT, STEP
from .test_encoding import observation


def at(number):
    return SLOT + number * STEP


LATER, NOW = at(100), at(2)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_at(tmp_path_factory.mktemp("redis"), password="old s3cret") as running:
        yield running


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setenv("LEGACY_REDIS", server.url)
    monkeypatch.setenv("LEGACY_REDIS_PASSWORD", "old s3cret")
    with redis.Redis(port=server.port, password="old s3cret", decode_responses=True) as made:
        made.flushall()
        yield made


@pytest.fixture
def history(tmp_path):
    with History(f"sqlite:///{tmp_path / 'history.db'}") as opened:
        yield opened


@pytest.fixture
def old(client):
    with OldSide(timeout_s=1.0) as made:
        yield made


class Consumer:
    """Counts messages, and looks for their hash as they come."""

    def __init__(self, client):
        self._client, self._subscription = client, client.pubsub(ignore_subscribe_messages=True)
        self._subscription.subscribe("cctv_image_state_updates")
        self._subscription.get_message(timeout=1.0)

    def take(self):
        got = []
        while (message := self._subscription.get_message(timeout=0.1)) is not None:
            content = json.loads(message["data"])
            assert len(self._client.hgetall(f"cctv_image_state:{content['batch_id']}")) == content["count"]
            got.append(content["batch_id"])
        return got


@pytest.fixture
def consumer(client):
    return Consumer(client)


@pytest.fixture
def yard(make_bay):
    """Bay yard with an owner: yard("new")."""

    def owned(owner):
        frames = {"base_path": "/old"}
        return make_bay("yard", operating_hours=[], skip_times=[], migration={"owner": owner, "frames": frames})

    return owned


@pytest.fixture
def bridge(yard, make_mapping, store, history, old):
    """bridge(now=at(3)): of a bay that is ours, a clock, and a mapping with changes."""

    def make(now=LATER, owner="new", **changes):
        mapping = make_mapping(bridge={"wait_s": 0, **changes})
        return Bridge(yard(owner), mapping, store, history=history, old=old, clock=lambda: now)

    return make


@pytest.fixture
def owned(client):
    client.set("bay_observation:owner:yard", "new")
    client.set("bay_observation:last_published:yard", slot_text(at(-1)))


def save(store, *numbers):
    for number in numbers:
        store.save("observation", "yard", batch_id("yard", at(number)), observation(slot=at(number)))


def ids(*numbers):
    return [f"yard_{at(number) + timedelta(hours=9):%Y%m%d-%H%M%S}" for number in numbers]


def test_every_slot_comes_once_and_in_order(bridge, owned, consumer, store, client):
    save(store, 2, 0, 1)
    state = bridge().step()
    assert state.published == (at(0), at(1), at(2))
    assert bridge().step().published == ()
    save(store, 3)
    assert bridge().step().published == (at(3),)
    assert consumer.take() == ids(0, 1, 2, 3)
    assert 0 < client.ttl(f"cctv_image_state:{ids(0)[0]}") <= 86400


def test_a_late_batch_is_waited_for_and_passed_over_in_the_end(bridge, owned, consumer, store):
    save(store, 0, 2)
    state = bridge(at(2), wait_s=1800).step()
    assert (state.published, state.left) == ((at(0),), (at(2),))
    assert "20250702-011000 has no observation yet" in state.why
    assert bridge(at(4), wait_s=1800).step().published == (at(2),)
    save(store, 1)
    assert bridge(at(5)).step().published == ()
    assert consumer.take() == ids(0, 2)


def test_a_slot_that_ended_without_an_observation_is_not_waited_for(bridge, owned, store, history, consumer):
    save(store, 0, 2)
    history.record("yard", at(1), BatchOutcome.SKIPPED, "dark")
    state = bridge(at(2) + timedelta(seconds=30), wait_s=3600).step()
    assert (state.published, state.passed_over) == ((at(0), at(2)), (at(1),))
    assert consumer.take() == ids(0, 2)


def test_without_a_consumer_nothing_is_lost(bridge, owned, store, client):
    save(store, 0)
    state = bridge().step()
    assert state.published == ()
    assert state.why.startswith("fewer consumers listen than bridge.consumers")
    assert client.keys("cctv_image_state:*") == []
    late = Consumer(client)
    assert bridge().step().published == (at(0),)
    assert late.take() == ids(0)


@pytest.mark.parametrize("owner", ["old", "shadow"])
def test_a_bay_that_is_not_ours_is_left_alone(bridge, owned, consumer, store, owner):
    save(store, 0)
    assert bridge(owner=owner).step().published == ()
    assert consumer.take() == []


def test_the_key_has_the_last_word(bridge, owned, consumer, store, client):
    save(store, 0, 1)
    client.set("bay_observation:owner:yard", "old")
    assert bridge().step().published == ()
    assert consumer.take() == []


def test_what_the_old_redis_lost_is_put_back(bridge, owned, consumer, store, client):
    save(store, 0)
    bridge().step()
    assert consumer.take() == ids(0)
    client.flushall()
    save(store, 1)
    assert bridge().step().published == (at(1),)
    assert client.get("bay_observation:owner:yard") == "new"
    assert consumer.take() == ids(1)


def test_more_than_the_backlog_is_not_kept_and_said(bridge, owned, consumer, store):
    save(store, *range(5))
    state = bridge(backlog=2).step()
    assert state.published == (at(3), at(4))
    assert "3 slots from 20250702-010000 on will not be published" in state.faults[0]
    assert consumer.take() == ids(3, 4)


def test_a_damaged_artifact_is_waited_for_and_stops_itself_alone(bridge, owned, consumer, store):
    save(store, 0, 1)
    path = store.root / "observation" / "yard" / batch_id("yard", at(0)) / "result.pkl"
    whole = path.read_bytes()
    path.chmod(0o640)
    path.write_bytes(whole[:-40])
    state = bridge(at(1), wait_s=1800).step()
    assert (state.published, state.left) == ((), (at(0), at(1)))
    assert "slot 20250702-010000 cannot be published" in state.why
    path.write_bytes(whole)
    assert bridge(at(1), wait_s=1800).step().published == (at(0), at(1))
    save(store, 2, 3)
    path = store.root / "observation" / "yard" / batch_id("yard", at(2)) / "result.pkl"
    path.chmod(0o640)
    path.write_bytes(whole[:-40])
    state = bridge().step()
    assert (state.published, len(state.faults)) == ((at(3),), 1)
    assert consumer.take() == ids(0, 1, 3)


def test_a_foreign_folder_in_the_store_stops_nothing(bridge, owned, consumer, store):
    save(store, 0)
    (store.root / "observation" / "yard" / "yard_copy").mkdir()
    (store.root / "observation" / "yard" / "yard_copy" / "result.pkl").write_bytes(b"x")
    (store.root / "observation" / "yard" / ".days" / "other").mkdir()
    (store.root / "observation" / "yard" / ".days" / "other" / "yard_copy").touch()
    assert bridge().step().published == (at(0),)


def test_a_redis_that_comes_back_without_its_last_writes_gets_nothing_twice(bridge, owned, consumer, store, client):
    save(store, 0, 1)
    bridge().step()
    assert consumer.take() == ids(0, 1)
    client.set("bay_observation:last_published:yard", slot_text(at(-1)))
    save(store, 2)
    assert bridge().look().left == (at(2),)
    assert bridge().step().published == (at(2),)
    assert consumer.take() == ids(2)


def test_a_publication_whose_answer_was_lost_is_noted(
    bridge, owned, consumer, store, client, old, history, monkeypatch
):
    """As where the script runs, and the connection breaks before its answer; the next try hears `already`."""
    publish = old.publish

    def twice(side, what):
        publish(side, what)
        return publish(side, what)

    monkeypatch.setattr(old, "publish", twice)
    save(store, 0, 1)
    state = bridge().step()
    assert (state.published, state.last) == ((), at(1))
    assert last_published(history, "yard") == at(1)
    assert consumer.take() == ids(0, 1)


def test_what_was_published_is_noted_though_the_one_who_did_it_was_killed(bridge, owned, client, history, consumer):
    client.set("bay_observation:last_published:yard", slot_text(at(5)))
    bridge(at(6)).step()
    client.flushall()
    assert bridge(at(6)).step().last == at(5)


def test_the_note_never_goes_back(history):
    for number in (1, 3, 2):
        note_published(history, "yard", at(number))
    assert last_published(history, "yard") == at(3)


def test_a_history_that_cannot_be_used_stops_no_publication(bridge, owned, consumer, store, history, monkeypatch):
    def gone(*_):
        raise HistoryUnavailableError("history: gone")

    monkeypatch.setattr("legacy.bridge.last_published", gone)
    monkeypatch.setattr("legacy.bridge.note_published", gone)
    save(store, 0)
    state = bridge().step()
    assert state.published == (at(0),)
    assert any("cannot be" in fault for fault in state.faults)
    assert consumer.take() == ids(0)


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("owner", "old", "its file says new"),
        ("owner", "ours", "its file says new"),
        ("last_published", "2025-07-02 01:00", "is no slot: delete the key"),
        ("last_published", "zzz", "is no slot: delete the key"),
        ("last_published", slot_text(LATER + timedelta(hours=9)), "lies ahead"),
    ],
)
def test_keys_that_would_silence_the_bridge_are_named(bridge, owned, consumer, store, client, key, value, said):
    save(store, 0)
    note_published(bridge()._history, "yard", at(-1))
    client.set(f"bay_observation:{key}:yard", value)
    for state in (bridge().step(), bridge().look()):
        assert said in state.why
        assert state.faults == (state.why,)
        assert state.left == (() if said == "lies ahead" else (at(0),))
    assert consumer.take() == []


@pytest.mark.parametrize(
    ("key", "said"), [("owner", "WRONGTYPE"), ("last_published", "WRONGTYPE"), (None, "holds no hash")]
)
def test_a_key_of_another_type_stops_the_bridge_and_is_named(bridge, owned, consumer, store, client, key, said):
    save(store, 0)
    name = f"cctv_image_state:{ids(0)[0]}" if key is None else f"bay_observation:{key}:yard"
    client.delete(name)
    client.lpush(name, "x")
    if key is None:
        assert said in bridge().step().why
    else:
        with pytest.raises(LegacyRedisError, match=f"{said}.*name another one"):
            bridge().step()
    assert consumer.take() == []
    assert client.lrange(name, 0, -1) == ["x"]


def test_what_a_half_written_hash_left_goes(bridge, owned, consumer, store, client):
    client.hset(f"cctv_image_state:{ids(0)[0]}", mapping={"C_99": "{}", "C_4": "half"})
    save(store, 0)
    bridge().step()
    assert consumer.take() == ids(0)
    assert sorted(client.hgetall(f"cctv_image_state:{ids(0)[0]}")) == ["C_4", "D_7"]


def test_a_hash_that_holds_several_batches_keeps_the_others(bridge, owned, store, client, make_mapping):
    shared = {"redis": {"key": "state", "field": "{batch_id}:{camera}", "expires_s": None}}
    client.hset("state", "other", "1")
    save(store, 0)
    mapping = make_mapping(bridge={"wait_s": 0, "consumers": 0}, **shared)
    one = bridge()
    Bridge(one._bay, mapping, store, history=one._history, old=one._old, clock=lambda: LATER).step()
    assert sorted(client.hgetall("state")) == ["other", f"{ids(0)[0]}:C_4", f"{ids(0)[0]}:D_7"]


def test_every_camera_may_have_a_hash(bridge, owned, store, client, make_mapping):
    of_camera = {"redis": {"key": "state:{camera}", "field": "{batch_id}", "expires_s": None}}
    save(store, 0)
    mapping = make_mapping(bridge={"wait_s": 0, "consumers": 0}, **of_camera)
    one = bridge()
    Bridge(one._bay, mapping, store, history=one._history, old=one._old, clock=lambda: LATER).step()
    assert [client.hkeys(f"state:{camera}") for camera in ("C_4", "D_7")] == [ids(0), ids(0)]


def test_two_bridges_publish_each_slot_once(bridge, owned, consumer, store):
    save(store, *range(20))
    bridges = [bridge(), bridge()]
    threads = [threading.Thread(target=one.step) for one in bridges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert consumer.take() == ids(*range(20))


def test_the_broker_is_refused_by_what_celery_keeps_in_it(bridge, owned, client):
    client.sadd("_kombu.binding.celery", "x")
    with pytest.raises(ConfigError, match="as Airflow's broker does"):
        bridge().step()


def test_a_wrong_login_is_named_without_it(monkeypatch, client):
    monkeypatch.setenv("LEGACY_REDIS_PASSWORD", "wr0ng")
    with OldSide() as refused, pytest.raises(LegacyRedisError, match="set LEGACY_REDIS_USER") as error:
        refused.get("x")
    assert "wr0ng" not in str(error.value)


def test_the_password_may_stand_in_a_file(monkeypatch, client, tmp_path):
    (tmp_path / "secret").write_text("old s3cret\n")
    monkeypatch.delenv("LEGACY_REDIS_PASSWORD")
    monkeypatch.setenv("LEGACY_REDIS_PASSWORD_FILE", str(tmp_path / "secret"))
    with OldSide() as opened:
        assert opened.get("x") is None


def test_falling_behind_is_said_once_and_so_is_catching_up(bridge, owned, store, caplog, client):
    caplog.set_level(logging.INFO, "legacy.bridge")
    save(store, 0)
    log = BridgeLog("yard", behind_s=1200)
    for number in (1, 3, 4):
        log.take(bridge(at(number)).step(), at(number))
    late = Consumer(client)
    log.take(bridge(at(5)).step(), at(5))
    assert caplog.text.count("slots behind since") == 1
    assert caplog.text.count("has caught up") == 1
    assert late.take() == ids(0)


def test_what_is_wrong_is_said_once_and_that_it_goes_on(caplog):
    log, wrong = BridgeLog("yard", behind_s=1200), BridgeState("new", None, faults=("its key is gone",))
    for state in (wrong, wrong, BridgeState("new", at(0)), wrong):
        log.take(state, at(1))
    log.fail(LegacyRedisError("down"))
    log.fail(LegacyRedisError("down"))
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "bay yard: " + one for one in ("its key is gone", "goes on", "its key is gone", "down; tried again")
    ]


def test_a_bay_s_file_is_read_again_when_it_was_written(yard, make_mapping, store, history, old, monkeypatch):
    yard("shadow")
    bridges = _Bridges(make_mapping(), store, history, old)
    first = bridges.of("yard")
    assert bridges.of("yard") is first
    yard("new")
    assert bridges.of("yard") is not first
    (bays_path() / "yard.yaml").unlink()
    with pytest.raises(ConfigError, match="there is no bay yard"):
        bridges.of("yard")


def test_a_look_at_all_bays_goes_on_past_one_that_fails(
    make_bay, make_mapping, store, history, old, client, owned, consumer, bays_folder
):
    mapping = make_mapping(bays={"a_wrong": {}, "yard": {}}, bridge={"wait_s": 0})
    make_bay("yard", operating_hours=[], skip_times=[], migration={"owner": "new"})
    (bays_folder / "a_wrong.yaml").write_text("cameras: 7\n")
    save(store, 0)
    with pytest.raises(ConfigError, match=r"a_wrong\.yaml"):
        run_bridge(["a_wrong", "yard"], mapping, store, history=history, old=old, every_s=1, once=True)
    assert consumer.take() == ids(0)


# -- who owns a bay ---------------------------------------------------------------------------------


@pytest.fixture
def ownership(make_mapping, history, old, bridge):
    """ownership(now): changes owners; the clock stands, and sleeping moves it."""

    def make(now=NOW, publish=None):
        clock = [now]

        def sleep(seconds):
            clock[0] += timedelta(seconds=60 * seconds)

        changes = Ownership(
            make_mapping(),
            history,
            old,
            publish=publish or (lambda bay: bridge().step()),
            clock=lambda: clock[0],
            sleep=sleep,
        )
        changes.now = clock
        return changes

    return make


def test_a_change_is_in_the_file_the_key_and_the_history(yard, ownership, client, history):
    yard("old")
    change = ownership().change("yard", "shadow", "kim", "the trial begins")
    assert (change.former, change.owner, load_bay("yard").migration.owner) == ("old", "shadow", "shadow")
    assert client.get("bay_observation:owner:yard") == "old"
    ownership(at(3)).change("yard", "new", "kim", "ready", at_once=True)
    assert client.get("bay_observation:owner:yard") == "new"
    assert load_bay("yard").image_provider != "file"
    assert [(one.former, one.owner, one.author, one.reason) for one in owner_changes(history, "yard")] == [
        ("old", "shadow", "kim", "the trial begins"),
        ("shadow", "new", "kim", "ready"),
    ]


@pytest.mark.slow(0.7)
def test_the_slot_in_work_is_published_before_the_bay_changes_hands(yard, ownership, client, owned, store, consumer):
    yard("new")
    save(store, 0, 1, 2)
    change = ownership(at(2) + timedelta(seconds=90)).change("yard", "shadow", "kim", "back")
    assert (change.last, change.missed) == (slot_text(at(2)), ())
    assert client.get("bay_observation:owner:yard") == "old"
    assert consumer.take() == ids(0, 1, 2)


def test_a_side_that_does_not_come_to_an_end_is_waited_for_until_the_next_slot(yard, ownership, client, owned):
    yard("new")
    change = ownership(at(2) + timedelta(seconds=90)).change("yard", "old", "kim", "back")
    assert (change.missed, client.get("bay_observation:owner:yard")) == ((slot_text(at(2)),), "old")
    assert load_bay("yard").enabled is False


def test_at_once_waits_for_nothing(yard, ownership, client, owned):
    yard("new")
    began = time.monotonic()
    ownership(at(2)).change("yard", "shadow", "kim", "broken", at_once=True)
    assert time.monotonic() - began < 5
    assert client.get("bay_observation:owner:yard") == "old"


def test_without_the_old_redis_nothing_changes(yard, ownership, client, monkeypatch, history, make_mapping):
    yard("shadow")
    with OldSide("redis://127.0.0.1:1/0") as gone, pytest.raises(LegacyRedisError):
        Ownership(make_mapping(), history, gone, publish=lambda _: None).change("yard", "new", "kim", "x")
    assert load_bay("yard").migration.owner == "shadow"


def test_a_file_that_would_be_wrong_is_refused_before_anything_changes(make_bay, ownership, client, history):
    make_bay("yard", migration={"owner": "old"})
    with pytest.raises(ConfigError, match="name the folder of the old system's frames"):
        ownership().change("yard", "shadow", "kim", "x")
    make_bay("yard")
    with pytest.raises(ConfigError, match="has no key migration"):
        ownership().change("yard", "new", "kim", "x")
    assert client.keys("*") == []


def test_said_again_it_mends_what_was_left(yard, ownership, client, history):
    yard("new")
    ownership().change("yard", "new", "kim", "the key was not set", at_once=True)
    assert client.get("bay_observation:owner:yard") == "new"
    before = len(owner_changes(history, "yard"))
    ownership().change("yard", "new", "kim", "again", at_once=True)
    assert len(owner_changes(history, "yard")) == before


def test_the_slot_in_work_ends_with_the_next_one_and_with_the_opening_hours(make_bay):
    bay = make_bay("yard", operating_hours=["10:00-10:20"], skip_times=[])
    assert slot_in_work(bay, at(1) + timedelta(minutes=9)) == at(1)
    assert slot_in_work(bay, at(2) + timedelta(minutes=10)) is None


def test_what_is_ready_goes_out_before_the_bay_is_given_back_at_once(yard, ownership, owned, store, consumer, client):
    yard("new")
    save(store, 0, 1)
    change = ownership().change("yard", "shadow", "kim", "broken", at_once=True)
    assert (change.missed, consumer.take()) == ((), ids(0, 1))


def test_a_backlog_that_nobody_took_is_named_when_the_bay_is_given_back(yard, ownership, owned, store, client):
    yard("new")
    save(store, 0, 1)
    change = ownership().change("yard", "shadow", "kim", "broken", at_once=True)
    assert change.missed == (slot_text(at(0)), slot_text(at(1)))
    assert client.get("bay_observation:owner:yard") == "old"


def test_a_store_that_is_down_holds_no_roll_back_up(yard, ownership, owned, client):
    yard("new")

    def broken(_):
        raise StoreUnavailableError("gone", "hanging")

    with pytest.raises(StoreUnavailableError):
        ownership(publish=broken).change("yard", "shadow", "kim", "broken")
    assert (load_bay("yard").migration.owner, client.get("bay_observation:owner:yard")) == ("new", "new")
    ownership(publish=broken).change("yard", "shadow", "kim", "broken", at_once=True)
    assert (load_bay("yard").migration.owner, client.get("bay_observation:owner:yard")) == ("shadow", "old")


@pytest.mark.slow(0.5)
def test_a_history_that_is_down_holds_no_roll_back_up_and_has_it_later(yard, ownership, owned, history, monkeypatch):
    yard("new")

    def broken(*_):
        raise HistoryUnavailableError("gone")

    with monkeypatch.context() as down:
        down.setattr("legacy.ownership.note_owner", broken)
        with pytest.raises(HistoryUnavailableError):
            ownership(LATER).change("yard", "shadow", "kim", "broken")
        assert load_bay("yard").migration.owner == "new"
        assert not ownership().change("yard", "shadow", "kim", "broken", at_once=True).is_noted
    assert load_bay("yard").migration.owner == "shadow"
    assert ownership().change("yard", "shadow", "kim", "again").is_noted
    assert [one.owner for one in owner_changes(history, "yard")] == ["shadow"]


def test_two_commands_at_one_moment_do_not_change_one_bay(yard, ownership, client, owned, old):
    yard("new")
    with old.alone("bay_observation:owner:yard:changing"), pytest.raises(ConfigError, match="another such command"):
        ownership().change("yard", "shadow", "kim", "back")
    assert load_bay("yard").migration.owner == "new"
    ownership().change("yard", "shadow", "kim", "back", at_once=True)
    assert client.keys("*changing") == []


def test_a_lock_that_the_redis_lost_stops_the_change(yard, ownership, client, owned):
    yard("new")

    def publish(_):
        client.delete("bay_observation:owner:yard:changing")
        return BridgeState("new", at(2))

    with pytest.raises(LegacyRedisError):
        ownership(publish=publish).change("yard", "shadow", "kim", "back")
    assert (load_bay("yard").migration.owner, client.get("bay_observation:owner:yard")) == ("new", "new")


@pytest.mark.slow(0.2)
@pytest.mark.parametrize("owner", ["new", "shadow"])
def test_a_change_that_is_cut_off_leaves_the_bay_to_the_old_side(yard, ownership, client, owned, monkeypatch, owner):
    """Not to neither: that would be the blind hour."""
    yard("new" if owner == "shadow" else "shadow")
    client.set("bay_observation:owner:yard", "new" if owner == "shadow" else "old")
    with monkeypatch.context() as cut_off:
        cut_off.setattr("legacy.ownership.write_owner", lambda *_: (_ for _ in ()).throw(ConfigError("disk full")))
        with pytest.raises(ConfigError, match="disk full"):
            ownership().change("yard", owner, "kim", "x", at_once=True)
    assert client.get("bay_observation:owner:yard") == "old"
    ownership().change("yard", owner, "kim", "x", at_once=True)
    assert (load_bay("yard").migration.owner, client.get("bay_observation:owner:yard") == "new") == (
        owner,
        owner == "new",
    )


@pytest.mark.parametrize("last", ["soon", slot_text(NOW + timedelta(hours=9))])
def test_a_last_slot_of_another_clock_keeps_the_bay_from_being_taken(yard, ownership, client, last):
    yard("shadow")
    client.set("bay_observation:last_published:yard", last)
    with pytest.raises(ConfigError, match="the old producer gives its slot in UTC"):
        ownership().change("yard", "new", "kim", "ready", at_once=True)
    assert load_bay("yard").migration.owner == "shadow"


def test_an_old_side_that_is_hours_behind_is_taken_over_at_once_only(yard, ownership, client, owned):
    yard("shadow")
    client.set("bay_observation:owner:yard", "old")
    client.set("bay_observation:last_published:yard", slot_text(NOW - timedelta(hours=5)))
    with pytest.raises(ConfigError, match=r"30 slots ago: is it down, or is its slot not in UTC\?"):
        ownership().change("yard", "new", "kim", "ready")
    assert ownership().change("yard", "new", "kim", "ready", at_once=True).owner == "new"


def test_what_an_old_side_published_by_hand_is_not_published_again(
    yard, make_mapping, history, old, client, bridge, store
):
    """It knows nothing of the key of the last slot, which the bridge left when the bay was given back."""
    yard("shadow")
    client.set("bay_observation:owner:yard", "old")
    client.set("bay_observation:last_published:yard", slot_text(at(-9)))
    save(store, *range(-9, 3))
    by_hand = make_mapping(redis={"old_side": "by_hand"})
    changes = Ownership(by_hand, history, old, publish=lambda _: BridgeState("old", None), clock=lambda: NOW)
    change = changes.change("yard", "new", "kim", "it is stopped")
    assert (change.last, change.missed) == (slot_text(NOW), ())


def test_a_bay_that_the_mapping_does_not_have_is_refused(yard, ownership, make_bay):
    make_bay("other", migration={"owner": "old"})
    with pytest.raises(ConfigError, match="the mapping has no bay other"):
        ownership().change("other", "new", "kim", "x")


# -- as processes -----------------------------------------------------------------------------------


@pytest.mark.slow(6)
def test_a_bridge_that_is_killed_goes_on_where_it_was(
    yard, make_mapping, store, history, client, owned, consumer, tmp_path, bays_folder
):
    yard("new")
    make_mapping(bridge={"wait_s": 0})
    environment = os.environ | {
        "LEGACY_MAPPING": str(tmp_path / "mapping.yaml"),
        "HISTORY_DB": history.database.location,
    }
    command = [sys.executable, "-m", "legacy", "bridge", "yard", "--every", "0.05"]
    got = []
    for numbers in (range(3), range(3, 6)):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        try:
            for number in numbers:
                save(store, number)
            end = time.monotonic() + 20
            while len(got) < numbers[-1] + 1 and time.monotonic() < end:
                got += consumer.take()
        finally:
            process.kill()
            _, said = process.communicate()
        assert b"s3cret" not in said
    assert got == ids(*range(6))
