"""What the bridge costs for each batch, and what it costs where it is off."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import redis

from artifacts import ArtifactStore
from bays import batch_id, load_bay
from inference.types import Observation
from lab.evaluation.silhouette_yard import random_yard
from lab.migration.old_system import STEP, slot_at
from lab.migration.turns import BAY, write_bay
from lab.services.redis import redis_at
from legacy.bridge import Bridge
from legacy.connection import OldSide
from legacy.encoding import slot_text
from legacy.mapping import load_mapping
from tracking.history import History

_BATCHES, _BLOCKS = 100, 24
_PASSWORD = "of the old Redis"  # noqa: S105 - of a server that ends with the measurement
_DAGS = (
    "import sys, dags.bay_dag_factory, operators.tracking, operators.inference, triggers, tracking.ledger;"
    "print(sum(1 for name in sys.modules if name.partition('.')[0] == 'legacy'))"
)


def bridge_cost(folder: Path) -> list[float]:
    """Seconds that each of 100 batches takes: twelve cameras over a yard of 24 blocks, with their outlines.

    From the artifact in the store to the answer of the old Redis and the note in the history.
    """
    folder.mkdir(parents=True)
    write_bay(folder, owner="new")
    with redis_at(folder / "redis", _PASSWORD) as server:
        os.environ |= {"LEGACY_REDIS": server.url, "LEGACY_REDIS_PASSWORD": _PASSWORD}
        mapping, bay, store = load_mapping(), load_bay(BAY), ArtifactStore()
        mapping = mapping.model_copy(update={"object": mapping.object.model_copy(update={"polygon": "polygon"})})
        ended = threading.Event()
        listening = threading.Thread(target=_listen, args=(server.url, mapping.redis.channel, ended))
        listening.start()
        try:
            with History.at(folder / "data") as history, OldSide() as old:
                old.call(lambda client: client.set(mapping.redis.owner_key.replace("{bay}", BAY), "new"))
                last = slot_text(slot_at(-1))
                old.call(lambda client: client.set(mapping.redis.last_key.replace("{bay}", BAY), last))
                cost = []
                for number in range(_BATCHES):
                    seen = _observation(number)
                    store.save("observation", BAY, seen.batch_id, seen)
                    bridge = Bridge(
                        bay,
                        mapping,
                        store,
                        history=history,
                        old=old,
                        clock=partial(_middle, number),
                    )
                    begin = time.perf_counter()
                    state = bridge.step()
                    cost.append(time.perf_counter() - begin)
                    if state.published != (slot_at(number),):
                        raise AssertionError(f"slot {number} was not published: {state}")
                return cost
        finally:
            ended.set()
            listening.join()


def modules_without_bridge() -> int:
    """How many modules of `legacy` a process has that loads the DAGs and their stages."""
    run = subprocess.run(
        [sys.executable, "-c", _DAGS], capture_output=True, check=True, env=os.environ | {"CLOCK": "slot"}
    )
    return int(run.stdout.split()[-1])


def _observation(number: int) -> Observation:
    bay, slot = load_bay(BAY), slot_at(number)
    seen = random_yard(bay, number, count=_BLOCKS).observe()
    return replace(seen, batch_id=batch_id(BAY, slot))


def _middle(number: int) -> datetime:
    """A time within a slot."""
    return slot_at(number) + STEP / 2


def _listen(url: str, channel: str, ended: threading.Event) -> None:
    with redis.Redis.from_url(url, password=_PASSWORD) as client:
        subscription = client.pubsub(ignore_subscribe_messages=True)
        subscription.subscribe(channel)
        while not ended.is_set():
            subscription.get_message(timeout=0.1)
        subscription.close()
