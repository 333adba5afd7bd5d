"""Shadow, new, back, new: the old consumer counts what it gets, while a bridge is killed and the Redis starts again.

Slots pass quickly. The old producer, the bridge and the Redis are processes; this system's stages run in this one,
from the stored or the asked frames to tracks, with silhouettes in place of the models.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import yaml

from artifacts import ArtifactStore
from bays import BayConfig, Camera, bays_path, load_bay
from capture_async import CapturedImage, CaptureService, ImageProvider
from capture_async.types import CameraFailure
from fusion import fuse
from lab.migration.old_system import START, Consumer, DemoClock, ask, picture, seen_in_yard, slot_at
from lab.services.redis import RedisServer, redis_at
from legacy.bridge import Bridge
from legacy.comparison import Comparison, compare, new_side, old_side
from legacy.connection import OldSide
from legacy.decoding import Decoder
from legacy.mapping import load_mapping
from legacy.ownership import Ownership
from legacy.records import Problems
from legacy.sources import live_batches
from legacy.templates import OldNames
from tracking.history import BatchOutcome, History
from tracking.history.owners import owner_changes
from tracking.ledger import track

BAY = "old_yard"

_NEW_SEED = 5000
_PASSWORD = "of the old Redis"  # noqa: S105 - of a server that ends with the demo
_DONE_WITHIN_S = 60.0


@dataclass(frozen=True)
class Turns:
    """What the consumer got, and how the turns went.

    Attributes:
        slots: that were to come.
        missing, doubled, unordered: slots that did not come, came more than once, came before an earlier one.
        without_hash: messages whose hash was not there.
        asked_twice: slots for which cameras were asked by both sides.
        changes: of owner, as the history has them.
        comparison: of the shadow.
    """

    slots: int
    missing: int
    doubled: int
    unordered: int
    without_hash: int
    asked_twice: int
    changes: tuple[str, ...]
    comparison: Comparison


def run_turns(folder: Path, said: Callable[[str], None], slot_s: float = 3.0) -> Turns:
    """Play the migration of one bay.

    Args:
        folder: for everything that is written.
        said: gets a line for each step.
        slot_s: seconds from slot to slot.
    """
    write_bay(folder)
    with redis_at(folder / "redis", _PASSWORD) as server:
        os.environ |= {"LEGACY_REDIS": server.url, "LEGACY_REDIS_PASSWORD": _PASSWORD}
        return _Play(folder, server, slot_s, said).run()


class _Play:
    def __init__(self, folder: Path, server: RedisServer, slot_s: float, said: Callable[[str], None]) -> None:
        self._folder, self._server, self._said = folder, server, said
        self._mapping, self._store = load_mapping(), ArtifactStore()
        self._history = History.at(folder / "data")
        self._old = OldSide()
        self._clock = DemoClock(time.time() + 8.0, slot_s)  # until the old producer is up
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ended = threading.Event()
        self._faults: list[BaseException] = []

    def run(self) -> Turns:
        mapping = self._mapping
        consumer = Consumer(self._server.url, _PASSWORD, mapping.redis.channel, mapping.redis.key)
        listening = consumer.start()
        working = threading.Thread(target=self._work, name="this system")
        try:
            self._own("shadow", "the trial begins")
            self._start("lab.migration.old_system", BAY, str(self._folder), *self._times())
            working.start()
            last, compared = self._play(consumer)
        finally:
            self._ended.set()
            for process in self._processes:
                process.kill()
                process.wait()
            working.join()
            consumer.stop()
            listening.join()
            changes = owner_changes(self._history, BAY)
            self._history.close()
            self._old.close()
        if self._faults:
            raise self._faults[0]
        wanted = [OldNames(mapping).batch_id(BAY, slot_at(number)) for number in range(last + 1)]
        return self._counted(consumer, wanted, tuple(f"{one.owner} by {one.author}" for one in changes), compared)

    def _play(self, consumer: Consumer) -> tuple[int, Comparison]:
        """The turns; the last slot that belongs to them, and the comparison of the shadow."""
        clock = self._clock
        clock.wait_for(6.2)
        compared = self._compare()
        self._said(f"shadow of 6 slots: {'ready' if compared.is_ready else '; '.join(compared.reasons)}")
        bridge = self._start_bridge()
        self._own("new", "the shadow agrees")
        clock.wait_for(clock.number() + 1.5)
        bridge.kill()
        bridge.wait()
        self._said("the bridge is killed")
        clock.wait_for(clock.number() + 2.5)
        bridge = self._start_bridge()
        self._said("and started again")
        clock.wait_for(clock.number() + 2.2)
        self._own("shadow", "roll-back, to try it")
        clock.wait_for(clock.number() + 4.2)
        self._own("new", "and once more")
        clock.wait_for(clock.number() + 1.5)
        self._server.stop(kill=True)
        self._said("the old Redis is killed")
        time.sleep(1.5 * clock.slot_s)
        self._server.start()
        self._said("and started again")
        clock.wait_for(clock.number() + 3.2)
        last = clock.number() - 1
        self._wait_until(lambda: len(consumer.got) > last)
        return last, compared

    def _own(self, owner: str, why: str) -> None:
        ownership = Ownership(
            self._mapping,
            self._history,
            self._old,
            publish=lambda bay: Bridge(
                bay, self._mapping, self._store, history=self._history, old=self._old, clock=self._clock.now
            ).step(),
            clock=self._clock.now,
            sleep=lambda _: time.sleep(0.05),
        )
        change = ownership.change(BAY, owner, "demo", why)  # type: ignore[arg-type]
        self._said(f"{change.former} → {change.owner}: last published {change.last}")

    def _compare(self) -> Comparison:
        """The shadow's slots, with the threshold of their number alone lowered."""
        bay, problems = load_bay(BAY), Problems()
        end = slot_at(6)
        decoder = Decoder(self._mapping, {BAY: bay}, problems)
        old = old_side(live_batches(self._old, decoder, problems), BAY, START, end)
        new = new_side(bay, self._store, self._history, START, end)
        return compare(old, new, bay, self._mapping.compare.model_copy(update={"slots": 4}), (START, end))

    # -- this system ---------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            number = 0
            while not self._ended.is_set():
                self._clock.wait_for(number + 0.1)
                self._batch(number)
                number += 1
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._faults.append(error)

    def _batch(self, number: int) -> None:
        """One slot, from its frames to its tracks. A capture that fails is tried again, as its task is."""
        slot = slot_at(number)
        for _ in range(5):
            bay = load_bay(BAY)
            images = self._captured(bay, number)
            if len(images) >= bay.camera_quorum:
                break
            self._history.record(BAY, slot, BatchOutcome.CAPTURE_FAILED, "fewer frames than the quorum")
            time.sleep(0.3 * self._clock.slot_s)
        else:
            return
        names = frozenset(image.camera_name for image in images)
        self._history.record(BAY, slot, BatchOutcome.CAPTURED, cameras=names)
        seen = seen_in_yard(bay, number, _NEW_SEED, names)
        self._store.save("observation", BAY, seen.batch_id, seen)
        self._history.record(BAY, slot, BatchOutcome.INFERRED)
        fusion = self._store.save("fusion", BAY, seen.batch_id, fuse(seen, bay))
        track(self._store, bay, fusion, self._history)

    def _captured(self, bay: BayConfig, number: int) -> Sequence[CapturedImage]:
        asks = None if bay.image_provider == "file" else _YardCameras(self._folder / "asked", bay, number)

        async def capture() -> Sequence[CapturedImage]:
            async with CaptureService(bay, provider=asks) as service:
                return (await service.capture(slot_at(number))).images

        return asyncio.run(capture())

    # -- processes -----------------------------------------------------------------------------------

    def _start_bridge(self) -> "subprocess.Popen[bytes]":
        return self._start("legacy", "bridge", BAY, "--every", "0.1")

    def _start(self, module: str, *arguments: str) -> "subprocess.Popen[bytes]":
        log = (self._folder / f"{module}.log").open("ab")
        with log:
            process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=log, stderr=log)
        self._processes.append(process)
        return process

    def _times(self) -> tuple[str, ...]:
        return "--began", repr(self._clock.began), "--slot-s", repr(self._clock.slot_s)

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + _DONE_WITHIN_S
        while not holds() and time.monotonic() < end:
            time.sleep(0.1)

    def _counted(
        self, consumer: Consumer, wanted: Sequence[str], changes: tuple[str, ...], compared: Comparison
    ) -> Turns:
        got = [one for one in consumer.got if one <= wanted[-1]]
        counts = Counter(got)
        asks = {tuple(line.split()[:2]) for line in (self._folder / "asked").read_text("utf-8").splitlines()}
        asked = Counter(number for number, _ in asks)
        return Turns(
            slots=len(wanted),
            missing=sum(1 for one in wanted if one not in counts),
            doubled=sum(1 for count in counts.values() if count > 1),
            unordered=sum(1 for before, after in pairwise(got) if after <= before),
            without_hash=len(consumer.without_hash),
            asked_twice=sum(1 for count in asked.values() if count > 1),
            changes=changes,
            comparison=compared,
        )


class _YardCameras(ImageProvider):
    """The bay's cameras themselves: every one answers, and that it was asked is noted."""

    def __init__(self, asked: Path, bay: BayConfig, number: int) -> None:
        self._asked, self._bay, self._number = asked, bay, number

    async def get_images(
        self, reference_time: datetime, cameras: Sequence[Camera], bay_id: str
    ) -> list[CapturedImage | CameraFailure]:
        """A frame of every camera."""
        if len(cameras) == 1 and cameras[0].name == self._bay.cameras[0].name:
            ask(self._asked, self._bay, self._number, "new")
        taken = reference_time + timedelta(seconds=10)
        return [CapturedImage(camera.name, bay_id, taken, picture()) for camera in cameras]


def write_bay(folder: Path, owner: str = "old") -> None:
    """A bay like 3bay_north that is open all day, its mapping, and an environment of its own."""
    content = yaml.safe_load((bays_path() / "3bay_north.yaml").read_text(encoding="utf-8"))
    frames = {"base_path": str(folder / "frames"), "time_zone": "Asia/Seoul", "tolerance_s": 120.0, "wait_s": 5.0}
    content |= {"operating_hours": [], "skip_times": [], "migration": {"owner": owner, "frames": frames}}
    bays = folder / "bays"
    bays.mkdir(parents=True)
    (bays / f"{BAY}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    mapping = yaml.safe_load((Path(__file__).parents[2] / "legacy" / "mapping.yaml").read_text(encoding="utf-8"))
    mapping |= {"bays": {BAY: {}}}
    (folder / "mapping.yaml").write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
    (folder / "frames").mkdir()
    os.environ |= {
        "BAYS_PATH": str(bays),
        "DATA_PATH": str(folder / "data"),
        "HISTORY_DB": f"sqlite:///{folder / 'data' / 'history.db'}",
        "LEGACY_MAPPING": str(folder / "mapping.yaml"),
        "CLOCK": "slot",
    }
    (folder / "data").mkdir()
