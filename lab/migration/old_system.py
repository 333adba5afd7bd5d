"""A stand-in of the old system, as its specification sketches it: a loop, a hash, a message, and who listens.

`python -m lab.migration.old_system BAY FOLDER --began SECONDS --slot-s SECONDS` is the old producer. Every slot
it looks at the owner key, asks its cameras, stores their frames, looks at them, and publishes through
`legacy/publish.lua`. What it sees is the simulated yard with errors of its own; its floor stands in for what
the old Situation Awareness made of it.
"""

import argparse
import json
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import redis

from bays import BayConfig, batch_id, load_bay
from inference.types import CameraObservation, Observation
from lab.evaluation.silhouette_yard import Degraded, SilhouetteYard, random_blocks
from legacy.connection import OldSide
from legacy.encoding import Encoder
from legacy.mapping import load_mapping
from legacy.templates import OldNames

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
STEP = timedelta(minutes=10)
BLOCKS, SEED = 9, 31

_TAKEN = timedelta(seconds=10)
_OLD_SEED, _STAND_S = 1000, 0.05
_CENTRE_M = 0.06


@dataclass(frozen=True)
class DemoClock:
    """Days pass quickly: a slot every `slot_s` seconds since `began` (of `time.time()`)."""

    began: float
    slot_s: float

    def now(self) -> datetime:
        """The time of the demo."""
        return START + (time.time() - self.began) / self.slot_s * STEP

    def number(self) -> int:
        """The slot that lasts."""
        return math.floor((time.time() - self.began) / self.slot_s)

    def wait_for(self, number: float) -> None:
        """Sleep until a slot begins, or a share of it has passed."""
        time.sleep(max(0.0, self.began + number * self.slot_s - time.time()))


def slot_at(number: int) -> datetime:
    """The slot of that number."""
    return START + number * STEP


def seen_in_yard(bay: BayConfig, number: int, seed: int, cameras: frozenset[str]) -> Observation:
    """What models would see of the yard in a slot: silhouettes of its blocks, spoilt by `seed`."""
    slot = slot_at(number)
    yard = SilhouetteYard(bay, random_blocks(bay, BLOCKS, SEED), seed=seed + number, degraded=Degraded(missed=0.0))
    frames = tuple(
        CameraObservation(one.camera_name, slot + _TAKEN, one.image_size, one.objects)
        for one in yard.observe().cameras
        if one.camera_name in cameras
    )
    return Observation(batch_id(bay.bay_id, slot), bay.bay_id, frames)


@lru_cache
def picture() -> bytes:
    """A frame. What is in it does not matter here: the yard is seen without."""
    grey = np.full((1080, 1920, 3), 128, np.uint8)
    return bytes(cv2.imencode(".jpg", grey)[1])


def ask(asked: Path, bay: BayConfig, number: int, side: str) -> None:
    """Note that every camera of a bay was asked for a frame of a slot."""
    with asked.open("a", encoding="utf-8") as file:
        file.write(f"{number} {side} {len(bay.cameras)}\n")


@dataclass
class Consumer:
    """Listens to the old channel, and reads the hash of every message as it comes."""

    url: str
    password: str
    channel: str
    key: str
    got: list[str] = field(default_factory=list)
    without_hash: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> threading.Thread:
        """Listen until `stop`."""
        thread = threading.Thread(target=self._run, name="old consumer")
        thread.start()
        return thread

    def stop(self) -> None:
        """End it."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with redis.Redis.from_url(self.url, password=self.password, socket_timeout=5) as client:
                    self._listen(client)
            except (redis.RedisError, OSError):
                time.sleep(_STAND_S)  # the old consumers connect again as well

    def _listen(self, client: "redis.Redis") -> None:
        subscription = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        subscription.subscribe(self.channel)
        while not self._ended.is_set():
            message = subscription.get_message(timeout=0.1)
            if message is None:
                continue
            content = json.loads(message["data"])
            self.got.append(content["batch_id"])
            if int(client.hlen(self.key.replace("{batch_id}", content["batch_id"]))) != content["count"]:
                self.without_hash.append(content["batch_id"])
        subscription.close()


def produce(bay_id: str, folder: Path, clock: DemoClock) -> None:
    """The old producer's loop."""
    bay, mapping = load_bay(bay_id), load_mapping()
    names, encoder = OldNames(mapping), Encoder(mapping, bay)
    owner_key = names.fill(mapping.redis.owner_key, bay_id)
    with OldSide() as old:
        for number in _slots(clock):
            if not _is_ours(old, owner_key, clock, number):
                continue
            slot = slot_at(number)
            ask(folder / "asked", bay, number, "old")
            for camera in bay.cameras:
                _store_frame(folder / "frames" / camera.name, bay_id, camera.name, slot)
            cameras = frozenset(camera.name for camera in bay.cameras)
            seen = seen_in_yard(bay, number, _OLD_SEED, cameras)
            _write_floor(old, names, mapping.floor.key if mapping.floor else None, bay, number)
            # A message that nobody hears is lost, on the old side too.
            old.publish("old", replace(encoder.publication(seen), consumers=0))


def _slots(clock: DemoClock) -> Iterator[int]:
    number = max(0, clock.number())
    while True:
        clock.wait_for(number)
        yield number
        number = max(number + 1, clock.number())


def _is_ours(old: OldSide, key: str, clock: DemoClock, number: int) -> bool:
    """Whether the old side owns the bay, now or before the slot is half over."""
    while clock.now() < slot_at(number) + STEP / 2:
        if old.get(key) == "old":
            return True
        time.sleep(_STAND_S)
    return False


def _store_frame(folder: Path, bay_id: str, camera: str, slot: datetime) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    local = slot + _TAKEN + timedelta(hours=9)  # the old host's clock is Seoul's
    path = folder / f"{bay_id}_{camera}_{local:%Y%m%d%H%M%S}.jpg"
    part = path.with_suffix(".part")
    part.write_bytes(picture())
    part.rename(path)


def _write_floor(old: OldSide, names: OldNames, key: str | None, bay: BayConfig, number: int) -> None:
    if key is None:
        return
    dice = np.random.default_rng([_OLD_SEED, number])
    blocks = []
    for block in random_blocks(bay, BLOCKS, SEED):
        shift = dice.normal(0, _CENTRE_M, 2)
        blocks.append(
            {
                "block_id": block.block_id,
                "class_name": block.class_name,
                "stage": block.stage,
                "confidence": 0.9,
                "x": block.x + float(shift[0]),
                "y": block.y + float(shift[1]),
                "length": block.width,
                "width": block.depth,
                "yaw": math.degrees(block.yaw),
                "height": block.height,
            }
        )
    name = names.fill(key, bay.bay_id, slot_at(number))
    old.call(lambda client: client.hset(name, mapping={"blocks": json.dumps(blocks)}))


def main() -> int:
    """Run the producer until it is ended."""
    parser = argparse.ArgumentParser(description="The old producer's stand-in.")
    parser.add_argument("bay")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--began", type=float, required=True)
    parser.add_argument("--slot-s", type=float, required=True)
    options = parser.parse_args()
    produce(options.bay, options.folder, DemoClock(options.began, options.slot_s))
    return 0


if __name__ == "__main__":
    from bay_observation.commands import run_command

    run_command(main)
