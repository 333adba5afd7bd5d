"""An API over a small history, and people with rights on one bay, on another, or on none."""

import asyncio
import importlib
import io
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import shapely
from PIL import Image
from shapely import MultiPolygon

START = datetime(2025, 7, 1, 23, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)
SLOTS = 8
DEMO_BAY = Path(__file__).parents[2] / "bays" / "demo_bay.yaml"
HIDDEN = shapely.box(100, 0, 110, 10)


@pytest.fixture(scope="session")
def _airflow_database() -> Iterator[None]:
    """Airflow's own tables, which its login asks, and a key of the tests' own to sign with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Airflow itself imports
        importlib.import_module("airflow.api_fastapi.app")
    from airflow import settings
    from airflow.models.base import Base
    from airflow.utils.db import import_all_models

    import_all_models()
    Base.metadata.create_all(settings.engine)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW__API_AUTH__JWT_SECRET", secrets.token_urlsafe(64))
        yield


@pytest.fixture
def auth(_airflow_database: None) -> Iterator[Any]:
    """The login: `reader-of-B` may read bay B, `operator-of-B` may correct it too, `boss` may all."""
    from airflow.api_fastapi import app
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    class RightsByBay(SimpleAuthManager):
        def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
            role, _, bay = user.username.partition("-of-")
            own = details is not None and details.id == f"tracking_{bay}_dag"
            return role == "boss" or (own and (method == "GET" or role == "operator"))

    before, app._AuthManagerState.instance = app._AuthManagerState.instance, RightsByBay()
    yield app._AuthManagerState.instance
    app._AuthManagerState.instance = before


@pytest.fixture
def token(auth: Any) -> Callable[[str], dict[str, str]]:
    """token("reader-of-yard"): the header that logs this person in."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def make(name: str) -> dict[str, str]:
        role = "OP" if name.startswith(("operator", "boss")) else "VIEWER"
        return {"Authorization": f"Bearer {auth.generate_jwt(SimpleAuthManagerUser(username=name, role=role))}"}

    return make


@pytest.fixture(scope="session")
def _written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bays `yard` and `other`, and the data root of what happened in `yard`.

    Eight slots were tracked, one camera fails in the last three, and one slot was skipped. Block 1
    stands all the time, block 2 moves from A26 to A13 in slot 4, block 3 leaves.
    """
    from artifacts import ArtifactStore
    from bays.loading import parse_bay
    from tracking import Tracker
    from tracking.history import BatchOutcome, History, TrackedBatch

    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "bays").mkdir()
    text = DEMO_BAY.read_text(encoding="utf-8").replace("enabled: false", "enabled: true")
    for bay_id in ("yard", "other"):
        (folder / "bays" / f"{bay_id}.yaml").write_text(text, encoding="utf-8")
    bay, store = parse_bay(DEMO_BAY, text, "yard"), ArtifactStore(folder / "data")
    state, tracked = None, []
    for number in range(SLOTS):
        plan = _plan(number)
        reference = store.save("fusion", "yard", plan.batch_id, plan)
        result = Tracker(bay, state).update(plan)
        state = result.state
        tracked.append(TrackedBatch(result, reference.sha256, ("C_2", "D_2")))
    _save_frames(store)
    with History(f"sqlite:///{folder / 'data' / 'history.db'}") as written:
        with written.writer("yard") as writer:
            writer.replace(None, tracked)
        for number in range(SLOTS):
            failed = {"C_4": "timed out"} if number >= SLOTS - 3 else {}
            slot = START + number * SLOT
            written.record("yard", slot, BatchOutcome.CAPTURED, cameras=("C_2", "D_2"), failures=failed)
        written.record("yard", START + SLOTS * SLOT, BatchOutcome.SKIPPED, "12 frames are dark")
    return folder


def _save_frames(store: Any) -> None:
    """Frames of the first slot: C_2 a picture, D_2 no picture at all, C_4 none."""
    from bays import batch_id
    from capture_async.types import CameraFailure, CaptureBatch, CapturedImage, FailureReason
    from inference.types import CameraObservation, DetectedObject, Observation

    name, content = batch_id("yard", START), io.BytesIO()
    Image.new("RGB", (1920, 1080), (90, 120, 200)).save(content, "JPEG")
    images = tuple(
        CapturedImage(camera, "yard", START, jpeg) for camera, jpeg in (("C_2", content.getvalue()), ("D_2", b"<html>"))
    )
    failure = CameraFailure("C_4", FailureReason.TIMED_OUT, "no answer in 10 s")
    store.save("capture", "yard", name, CaptureBatch(name, "yard", images, (failure,)))
    box = DetectedObject("block", 0.9, [100, 200, 500, 600], [[100, 200], [500, 200], [500, 600]], "welding", 0.8)
    jig = DetectedObject("pinjig", 0.9, [0, 0, 10, 10])
    seen = CameraObservation("C_2", START, (1920, 1080), (box, jig))
    store.save("observation", "yard", name, Observation(name, "yard", (seen,), {"C_4": "timed out"}))


def _plan(number: int) -> Any:
    from bays import batch_id
    from fusion.types import FusedBlock, FusionResult

    def block(area: str, x: float, y: float, height_m: float = 4.0) -> FusedBlock:
        outline = shapely.box(x - 4, y - 3, x + 4, y + 3)
        return FusedBlock(
            "block", outline, height_m, area, "welding", 0.9, ("C_2", "D_2"), {"welder": 1}, 0.05, (), 0.9
        )

    blocks = [block("A25", 8, 6), block("A13", 50, 6) if number >= 4 else block("A26", 24, 14)]
    if number < 3:
        blocks.append(block("A1E", 107, 10, height_m=6.0))
    name = batch_id("yard", START + number * SLOT)
    return FusionResult(name, "yard", tuple(blocks), MultiPolygon([HIDDEN]), ("C_2", "D_2"))


@pytest.fixture
def yard(_written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A copy of what was written, as this host's environment; the bay `yard`."""
    from bays import load_bay
    from dashboard.api.history import history

    shutil.copytree(_written, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    monkeypatch.setenv("BAYS_PATH", str(tmp_path / "bays"))
    monkeypatch.setenv("CLOCK", "real")
    monkeypatch.setenv("DASHBOARD_CACHE", str(tmp_path / "pictures"))
    monkeypatch.delenv("HISTORY_DB", raising=False)
    history.cache_clear()
    yield load_bay("yard")
    history.cache_clear()


class Client:
    """Asks an application without a server."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://bays.yard") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


@pytest.fixture
def client_of() -> type[Client]:
    """client_of(application): asks it."""
    return Client


@pytest.fixture
def api(yard: Any, auth: Any, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The application of its own, as a client asks it. It starts no process to judge poses."""
    from dashboard import poses
    from dashboard.api.models import Poses

    monkeypatch.setattr(poses, "_judged", lambda bay_id: Poses(bay_id=bay_id, batches=[], cameras=[]))
    poses._known.clear()
    return Client(_application())


@cache
def _application() -> Any:
    """It keeps nothing from question to question, and to build it takes a tenth of a second."""
    from dashboard.api.app import create_app

    return create_app()


@pytest.fixture
def ask(api: Any, token: Callable[[str], dict[str, str]]) -> Callable[..., Any]:
    """ask("bays/yard/floor", person="boss", **query): the answer's JSON, which must be there."""

    def get(path: str, person: str = "boss", **query: Any) -> Any:
        answer = api.get(f"/api/v1/{path}", headers=token(person), params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get
