"""The stand-in of the old system takes its turns as the specification and the guide say."""

import time

import pytest

from bays import load_bay
from lab.migration.old_system import START, STEP, Consumer, DemoClock, produce, seen_in_yard, slot_at
from lab.migration.turns import BAY, write_bay
from lab.services.redis import redis_at
from legacy.connection import OldSide


@pytest.fixture
def yard(tmp_path, monkeypatch):
    for name in (
        "BAYS_PATH",
        "DATA_PATH",
        "HISTORY_DB",
        "LEGACY_MAPPING",
        "CLOCK",
        "LEGACY_REDIS",
        "LEGACY_REDIS_PASSWORD",
    ):
        monkeypatch.setenv(name, "")  # what the demo sets is taken back
    write_bay(tmp_path)
    return tmp_path


def test_the_demo_s_days_pass_quickly():
    clock = DemoClock(time.time() - 5.0, slot_s=2.0)
    assert clock.number() == 2
    assert START + 2 * STEP < clock.now() < START + 3 * STEP


def test_both_sides_see_one_yard_with_errors_of_their_own(yard):
    bay = load_bay(BAY)
    cameras = frozenset({"C_4", "D_7"})
    one, same, other = (seen_in_yard(bay, 3, seed, cameras) for seed in (1, 1, 2))
    assert one.slot == slot_at(3)
    assert [frame.camera_name for frame in one.cameras] == ["C_4", "D_7"]
    boxes = [[found.box.tolist() for found in seen.cameras[0].objects] for seen in (one, same, other)]
    assert boxes[0] == boxes[1] != boxes[2]


class EndedError(Exception):
    """Of the producer's loop."""


@pytest.mark.slow(4)
def test_the_producer_publishes_for_its_owner_alone(yard, monkeypatch):
    def three_slots(_):
        for number, owner in enumerate(("old", "new", "old")):
            with OldSide() as old:
                old.call(lambda client, owner=owner: client.set(f"bay_observation:owner:{BAY}", owner))
            yield number
        raise EndedError

    # Every slot is half over soon after it is looked at.
    monkeypatch.setattr("lab.migration.old_system._slots", three_slots)
    moments = (START + n * STEP / 10 for n in range(10_000))
    monkeypatch.setattr(DemoClock, "now", lambda _: next(moments))
    with redis_at(yard / "redis", "pw") as server:
        monkeypatch.setenv("LEGACY_REDIS", server.url)
        monkeypatch.setenv("LEGACY_REDIS_PASSWORD", "pw")
        consumer = Consumer(server.url, "pw", "cctv_image_state_updates", "cctv_image_state:{batch_id}")
        listening = consumer.start()
        time.sleep(0.5)
        with pytest.raises(EndedError):
            produce(BAY, yard, DemoClock(0.0, 1.0))
        end = time.monotonic() + 5
        while len(consumer.got) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        consumer.stop()
        listening.join()
    assert consumer.got == ["old_yard_20250702-090000", "old_yard_20250702-092000"]
    assert consumer.without_hash == []
    assert len(list((yard / "frames" / "C_4").glob("*.jpg"))) == 2
