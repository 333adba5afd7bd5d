"""What a page presupposes, on the desk: an old Redis, a labelled folder, an API that answers, a person who clicks."""

import io
import json
import os
import re
import secrets
import shutil
import signal
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from artifacts import ArtifactStore
from artifacts.reference import artifact_path
from bays import batch_id, load_bay
from bays.loading import bay_file
from capture_async.types import CaptureBatch, CapturedImage
from inference.types import CameraObservation, DetectedObject, Observation
from lab.services.ports import free_port
from tests.docs.terminal import PROJECT, Terminal

BAY = "3bay_north"
SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
_WEIGHTS = PROJECT / "inference" / "weights"
Place = Callable[[Terminal, pytest.MonkeyPatch], AbstractContextManager[None]]


def place_of(page: str) -> Place:
    """Makes what the page presupposes, for as long as it is read."""
    return _PLACES.get(page, lambda *_: nullcontext())


@contextmanager
def _alerts(terminal: Terminal, _: pytest.MonkeyPatch) -> Iterator[None]:
    """A camera is silent; a mute's id is what the page's mute was given."""
    from dashboard.api import history as api_history
    from tracking.history.alerts import Alert, Mute, add_mute, begin_alert

    api_history.history.cache_clear()
    known, now = api_history.history(), datetime.now(UTC)
    begin_alert(known, Alert("3f2a" + "0" * 12, now - timedelta(minutes=3), "CameraDown", "warning", BAY), now)
    add_mute(known, Mute(now, now + timedelta(hours=1), "", "", "", "kim", mute_id="0c5d0f0a" + "0" * 24))
    terminal.replaced["0c5d0f0a..."] = "0c5d0f0a" + "0" * 24
    yield
    api_history.history.cache_clear()


@contextmanager
def _survey(terminal: Terminal, _: pytest.MonkeyPatch) -> Iterator[None]:
    """The survey's files, as the page lets a person copy them, and what its cameras show now: a grey wall."""
    import csv

    import cv2
    import numpy as np

    survey = PROJECT / "docs" / "examples" / "survey"
    for path in survey.iterdir():
        shutil.copy(path, terminal.folder)
    with (survey / "cameras.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            folder = terminal.folder.parent / "frames" / row["name"]
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            grey = np.full((int(row["height"]), int(row["width"]), 3), 128, np.uint8)
            cv2.imwrite(str(folder / f"6bay_south_{row['name']}_{datetime.now(UTC):%Y%m%d%H%M%S}.jpg"), grey)
    yield


@contextmanager
def _points(terminal: Terminal, _: pytest.MonkeyPatch) -> Iterator[None]:
    """A person who clicks nine marks, and a morning of blocks to refine poses by."""
    from bays.camera_model import CameraModel
    from lab.evaluation.silhouette_yard import SilhouetteYard, random_blocks

    bay, store = load_bay(BAY), ArtifactStore()
    model = CameraModel.of(bay.camera("C_4"))
    floor = [(x, y, 0.0) for x in range(2, 150, 8) for y in range(2, 40, 6)]
    pixels, _ = model.project(floor)
    rows = [
        {"name": f"P{x}-{y}", "u": float(u), "v": float(v), "x": x, "y": y, "z": z}
        for (x, y, z), (u, v) in zip(floor, pixels, strict=True)
        if 0 < u < 1920 and 0 < v < 1080
    ]
    picture = next((terminal.folder / "frames").glob("*_C_4_*.jpg")).read_bytes()
    newest = batch_id(BAY, SLOT + timedelta(minutes=10))
    store.save("capture", BAY, newest, CaptureBatch(newest, BAY, (CapturedImage("C_4", BAY, SLOT, picture),)))
    terminal.person["bay-observation calibrate .*--click.*"] = lambda said: _click(said, rows)
    yard = SilhouetteYard(bay, random_blocks(bay, 12, 5), seed=5)
    name = batch_id(BAY, SLOT - timedelta(hours=3))
    store.save("observation", BAY, name, replace(yard.observe(), batch_id=name, bay_id=BAY))
    yield


def _click(said: io.StringIO, points: list[dict[str, Any]]) -> None:
    """`Save and calibrate` on the page that the command has said, with these points."""
    try:
        end = time.monotonic() + 20
        while not (found := re.search(r"open (http://\S+)", said.getvalue())) and time.monotonic() < end:
            time.sleep(0.02)
        assert found, said.getvalue()
        body = json.dumps({"size": [1920, 1080], "points": points}).encode()
        with urllib.request.urlopen(urllib.request.Request(found[1] + "done", body), timeout=10) as answer:
            assert answer.status == 200
    except BaseException:
        os.kill(os.getpid(), signal.SIGINT)  # else the command waits for ever
        raise


@contextmanager
def _schema(terminal: Terminal, _: pytest.MonkeyPatch) -> Iterator[None]:
    """In place of the chart's own schema, which `helm pull` brings: one that knows the names that are written."""
    status, said = terminal.type("bay-observation lab capacity values --tag 0.2.0")
    content = yaml.safe_load(said)
    celery = content["workers"]["celery"]
    known = {name: {} for part in (celery, *celery["sets"]) for name in part}
    rules = {
        "properties": {name: {} for name in content} | {"workers": {"properties": {"celery": {"properties": known}}}}
    }
    (terminal.folder / "airflow").mkdir()
    (terminal.folder / "airflow" / "values.schema.json").write_text(json.dumps(rules))
    assert status == 0, said
    yield


@contextmanager
def _labelled(terminal: Terminal, change: pytest.MonkeyPatch) -> Iterator[None]:
    """What a person brings back from the labelling tool, and the yard's own checkpoints; a training is one step."""
    from inference.datasets import LabelledFrame, LabelledObject, write_dataset
    from lab.training import runs

    picture = next((terminal.folder / "frames").glob("*.jpg")).read_bytes()
    name, store = batch_id(BAY, SLOT + timedelta(minutes=10)), ArtifactStore()
    unsure = DetectedObject("block", 0.36, [400, 300, 800, 700], [[400, 300], [800, 300], [800, 700]], "welding", 0.4)
    images = tuple(CapturedImage(camera, BAY, SLOT, picture) for camera in ("C_4", "D_3"))
    store.save("capture", BAY, name, CaptureBatch(name, BAY, images))
    seen = tuple(CameraObservation(camera, SLOT, (1920, 1080), (unsure,)) for camera in ("C_4", "D_3"))
    store.save("observation", BAY, name, Observation(name, BAY, seen))
    thing = LabelledObject("block", (400, 300, 800, 700), ((400, 300), (800, 300), (800, 700), (400, 700)), "welding")
    for folder in ("labelled", "other_labels", "more_labels"):
        frames = [
            LabelledFrame(
                f"{BAY}_{camera}_{SLOT:%Y%m%d%H%M%S}_{folder}.jpg", (1920, 1080), (thing,), picture, camera, BAY
            )
            for camera in ("C_4", "D_3")
        ]
        write_dataset(terminal.folder / folder, frames, "cvat")
    for name, shipped in {"best_250408.pt": "detector.pt", "best_250312.pt": "stages.pt"}.items():
        shutil.copy(_WEIGHTS / shipped, terminal.folder / name)
    terminal.replaced |= {"inference/weights/": f"{_WEIGHTS}/", "--frames 600": "--frames 1"}
    whole = runs.train
    change.setattr(
        runs,
        "train",
        lambda run: whole(replace(run, epochs=dict.fromkeys(run.epochs, 1), image_size=64)),
    )
    yield


@contextmanager
def _old_system(terminal: Terminal, change: pytest.MonkeyPatch) -> Iterator[None]:
    """An old Redis with two batches, a dump of it, and its floors as CSV."""
    import redis

    from lab.services.redis import redis_at
    from legacy.encoding import Encoder
    from legacy.mapping import load_mapping

    with bay_file(BAY).open("a") as file:
        file.write("migration: {owner: old, frames: {base_path: /mnt/old/frames}}\n")  # the page's example
    bay, floors = load_bay(BAY), terminal.folder / "floors"
    floors.mkdir()
    header = "batch_id,block_id,class_name,stage,confidence,x,y,length,width,yaw,height\n"
    rows = "".join(f"{BAY}_20240702-16{m}000,B-1,block,sub_assembly,0.9,36,10,8,6,0,4\n" for m in range(2))
    (floors / "july.csv").write_text(header + rows)
    (terminal.folder / "floors.csv").write_text(header + rows)
    found = DetectedObject("block", 0.9, [10, 20, 110, 90], [[10, 20], [110, 20], [110, 90]], "sub_assembly", 0.8)
    dump = {}
    with redis_at(terminal.folder / "redis", password="old s3cret") as server:
        change.setenv("LEGACY_REDIS", server.url)
        change.setenv("LEGACY_REDIS_PASSWORD", "old s3cret")
        with redis.Redis(port=server.port, password="old s3cret") as client:
            for number in range(2):
                slot = SLOT + number * timedelta(minutes=10)
                cameras = tuple(CameraObservation(c.name, slot, (1920, 1080), (found,)) for c in bay.cameras)
                seen = Observation(batch_id(BAY, slot), BAY, cameras)
                for key, fields in Encoder(load_mapping(), bay).publication(seen).hashes.items():
                    client.hset(key, mapping=fields)
                    dump[key] = fields
        (terminal.folder / "dump.json").write_text(json.dumps(dump))
        terminal.replaced["--listen 1200"] = "--listen 1"
        yield


@contextmanager
def _token(terminal: Terminal, _: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder of secrets, and a port that is free."""
    (terminal.folder / "secrets").mkdir(mode=0o700)
    terminal.replaced["0.0.0.0:9470"] = f"127.0.0.1:{free_port()}"
    yield


@contextmanager
def _old_store(terminal: Terminal, _: pytest.MonkeyPatch) -> Iterator[None]:
    """A store as version 0.1 wrote it, under the page's name of it."""
    written = PROJECT / "tests" / "artifacts" / "format1"
    for stage in ("capture", "observation", "fusion", "tracking"):
        path = terminal.folder / "airflow-data" / artifact_path(stage, BAY, f"{BAY}_20250702-071000")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(written / f"{stage}.pkl", path)
    terminal.replaced["/mnt/airflow-data"] = str(terminal.folder / "airflow-data")
    yield


@contextmanager
def _queues(_: Terminal, change: pytest.MonkeyPatch) -> Iterator[None]:
    """Airflow's tables with a triggerer of each queue but one, as on the page."""
    from tests.triggers.test_status import Database

    database = Database()
    change.setattr("airflow.utils.session.create_session", database.session)
    change.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    change.setenv("BAYS_ENABLED", f"{BAY},4bay")
    for queue, host in ((f"obs_{BAY}", "observer"), (f"proc_{BAY}", "processor"), ("proc_4bay", "processor")):
        database.triggerer(f"queues={queue}", host=f"{host}-{queue.partition('_')[2]}-triggerer")
    database.deferred("obs_4bay", seconds=95)
    yield


@contextmanager
def _airflow_tables(_: Terminal, __: pytest.MonkeyPatch) -> Iterator[None]:
    """Airflow's own tables, in the tests' database."""
    from airflow import settings
    from airflow.models.base import Base
    from airflow.utils.db import import_all_models

    import_all_models()
    Base.metadata.create_all(settings.engine)
    yield


@contextmanager
def _sockets(_: Terminal, change: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of sockets whose name is short enough."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="s") as folder:
        change.setenv("INFERENCE_SOCKETS", str(Path(folder) / "s"))
        yield


@contextmanager
def _api(terminal: Terminal, change: pytest.MonkeyPatch) -> Iterator[None]:
    """The bays' pages as Airflow's API server has them, at a free port; `$AIRFLOW` and `$TOKEN` of a person."""
    with served_bays(terminal, change) as (url, token):
        change.setenv("AIRFLOW", url)
        change.setenv("TOKEN", token)
        yield


@contextmanager
def served_bays(terminal: Terminal, change: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The address of a server and the token of a person who may read all bays."""
    import uvicorn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Airflow itself imports
        from airflow.api_fastapi import app
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi import FastAPI

    from dashboard.api.app import create_app
    from dashboard.api.history import history

    change.setenv("AIRFLOW__API_AUTH__JWT_SECRET", secrets.token_urlsafe(64))
    change.setattr(app._AuthManagerState, "instance", SimpleAuthManager())
    history.cache_clear()
    root = FastAPI()
    root.mount("/bay", create_app())
    server = uvicorn.Server(uvicorn.Config(root, port=free_port(), log_level="error"))
    with _airflow_tables(terminal, change):
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            end = time.monotonic() + 20
            while not server.started and time.monotonic() < end:
                time.sleep(0.02)
            token = app.get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="nora", role="ADMIN"))
            yield f"http://127.0.0.1:{server.config.port}", token
        finally:
            server.should_exit = True
            thread.join()
            history.cache_clear()


_PLACES: dict[str, Place] = {
    "add_a_bay.md": _survey,
    "alerting.md": _alerts,
    "calibrate_a_camera.md": _points,
    "capacity.md": _schema,
    "dashboard.md": _api,
    "housekeeping.md": _airflow_tables,
    "improve_the_models.md": _labelled,
    "inference_server.md": _sockets,
    "migration.md": _old_system,
    "monitoring.md": _token,
    "storage.md": _old_store,
    "triggerers.md": _queues,
}
