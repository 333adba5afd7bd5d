"""Shared by all tests: an Airflow home of their own, a store, bays made for one test."""

import gc
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

# Databases and stores wait for the disk at each commit; in memory they do not, and a test outlives no power cut.
_MEMORY, _ROOM = Path("/dev/shm"), 6 * 1024**3
if (
    "TMPDIR" not in os.environ
    and _MEMORY.is_dir()
    and min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) > _ROOM
):
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = None  # read the environment again

# Before anything imports Airflow: it reads its environment then, and writes into its home.
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_", "BAYS_"))]:
    del os.environ[_name]
_AIRFLOW_HOME = tempfile.mkdtemp(prefix="bay-observation-tests-")
os.environ["AIRFLOW_HOME"] = _AIRFLOW_HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
# Slots of the tests are of one day in 2025, each of which counts as now; tests of the clock unset it.
os.environ["CLOCK"] = "slot"

# Where nothing keeps the compiled modules, each process of Airflow compiles all of them: seconds at every start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Each process that is started from here, a worker of pytest-xdist too, looks for garbage less often.
_EVERY_PROCESS = str(Path(__file__).parent / "every_process")
_PATHS = os.environ.get("PYTHONPATH", "").split(os.pathsep)
if _EVERY_PROCESS not in _PATHS:
    os.environ["PYTHONPATH"] = os.pathsep.join([_EVERY_PROCESS, *filter(None, _PATHS)])

if "PYTEST_XDIST_WORKER" in os.environ:  # a core each: threads of one worker would only hold up the other's
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# What collection imports stays to the end: to look through it again and again costs each worker six seconds.
gc.disable()

# Each of these runs on one worker of pytest-xdist, since its files share a server; any other file by itself.
SHARING = ("tests/lab/cluster/",)
DEMO_BAY = Path(__file__).parents[1] / "bays" / "demo_bay.yaml"


def pytest_unconfigure() -> None:
    shutil.rmtree(_AIRFLOW_HOME, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """From the first test on, only what tests make is looked through for garbage."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--at-most", type=float, metavar="SECONDS", help="fail when the whole run takes longer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: two workers then end at about the same time."""
    seconds: Counter[str] = Counter()
    for item in items:
        if (slow := item.get_closest_marker("slow")) is not None:
            seconds[_group(item.nodeid)] += sum(slow.args)
    items.sort(key=lambda item: -seconds[_group(item.nodeid)])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups go to the workers whole, in the order of collection."""
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    config.option.loadscopereorder = False  # which would put the group of most tests first
    return GroupScheduling(config, log)


def _group(nodeid: str) -> str:
    return next((folder for folder in SHARING if nodeid.startswith(folder)), nodeid.partition("::")[0])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run that takes longer than `--at-most` fails, with the exit status of a failed test.

    On a CI machine, which others may slow down, the figure is printed beside its bar and fails nothing.
    """
    limit = session.config.getoption("at_most")
    too_long = limit is not None and _seconds() > limit and "CI" not in os.environ
    if too_long and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    limit = config.getoption("at_most")
    if limit is not None:
        taken = _seconds()
        verdict = {"green": True} if taken <= limit else {"red": True}
        terminalreporter.write_sep("=", f"{taken:.0f} s of at most {limit:.0f} s", **verdict)


def _seconds() -> float:
    """Since this process was started."""
    return time.time() - psutil.Process().create_time()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty store, which is also what `DATA_PATH` names."""
    from artifacts import ArtifactStore

    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    return ArtifactStore()


@pytest.fixture
def bays_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of bays, which is also what `BAYS_PATH` names."""
    folder = tmp_path / "bays"
    folder.mkdir()
    monkeypatch.setenv("BAYS_PATH", str(folder))
    return folder


@pytest.fixture
def make_bay(bays_folder: Path) -> Callable[..., Any]:
    """make_bay("yard", camera_quorum=8, ...): write a bay like the demo's, enabled, and load it."""
    from bays import load_bay

    def make(bay_id: str = "yard", **changes: Any) -> Any:
        content = _demo_bay() | {"enabled": True} | changes
        # JSON is YAML; YAML's own writer takes ten times as long, for each of a thousand bays.
        text = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in content.items())
        (bays_folder / f"{bay_id}.yaml").write_text(text, encoding="utf-8")
        return load_bay(bay_id)

    return make


@cache
def _demo_bay() -> dict[str, Any]:
    content: dict[str, Any] = yaml.load(DEMO_BAY.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return content


@pytest.fixture
def airflow_context() -> Callable[..., dict[str, Any]]:
    """The parts of a task's context that this project reads, with a task instance that keeps what it is given."""
    from datetime import UTC, datetime
    from types import SimpleNamespace

    class TaskInstance:
        def __init__(self, try_number: int, max_tries: int, runs: set[str]) -> None:
            self.try_number, self.max_tries, self.runs = try_number, max_tries, runs
            self.pushed: dict[str, Any] = {}
            self.start_date = datetime.now(UTC)

        def xcom_push(self, key: str, value: Any) -> None:
            self.pushed[key] = value

        def get_dr_count(self, dag_id: str, run_ids: list[str]) -> int:
            return len({f"{dag_id}/{run_id}" for run_id in run_ids} & self.runs)

    class TaskState(dict[str, Any]):
        """What Airflow keeps of a task from try to try, JSON values only."""

        def set(self, key: str, value: Any) -> None:
            self[key] = json.loads(json.dumps(value))

    def make(
        slot: Any = None,
        conf: Any = None,
        *,
        run_after: Any = None,
        tries: tuple[int, int] = (1, 2),
        runs: Any = (),
        cleared: int = 0,
        state: Any = None,
        run_id: str = "manual__1",
    ) -> dict[str, Any]:
        from airflow.sdk.execution_time.context import OutletEventAccessors

        run_after = run_after or datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
        context: dict[str, Any] = {
            "dag_run": SimpleNamespace(run_id=run_id, conf=conf, run_after=run_after, clear_number=cleared),
            "ti": TaskInstance(*tries, set(runs)),
            "outlet_events": OutletEventAccessors(),
            "task_state_store": state if state is not None else TaskState(),
        }
        if slot is not None:  # as Airflow does: no key without a logical date
            context["logical_date"] = slot
        return context

    return make


@pytest.fixture
def make_capture() -> Callable[..., Any]:
    """make_capture(bay, slot, count=12, grey=128): frames of one grey each, and failures for the other cameras."""
    from capture_async.types import CameraFailure, CaptureBatch, CapturedImage, FailureReason

    def make(bay: Any, slot: Any, count: int | None = None, grey: Any = 128) -> Any:
        import cv2
        import numpy as np

        from bays import batch_id

        count = len(bay.cameras) if count is None else count
        greys = [grey] * count if isinstance(grey, int) else list(grey)
        frames = [cv2.imencode(".jpg", np.full((90, 160, 3), level, np.uint8))[1].tobytes() for level in greys]
        return CaptureBatch(
            batch_id(bay.bay_id, slot),
            bay.bay_id,
            tuple(
                CapturedImage(camera.name, bay.bay_id, slot, frame)
                for camera, frame in zip(bay.cameras, frames, strict=False)
            ),
            tuple(
                CameraFailure(camera.name, FailureReason.TIMED_OUT, "no answer in 10 s")
                for camera in bay.cameras[count:]
            ),
        )

    return make


@pytest.fixture
def scripted_cameras(make_capture: Callable[..., Any]) -> Iterator[Any]:
    """A registered image provider that answers as a test says, and counts how often it is asked."""
    from bays.models import known_providers
    from capture_async import ImageProvider, ImageProviderFactory
    from capture_async.types import CameraFailure, FailureReason

    class ScriptedCameras(ImageProvider):
        asked = 0
        down: frozenset[str] = frozenset()
        error: Exception | None = None
        together: Any = None  # an asyncio.Barrier that all cameras wait at

        async def get_images(self, reference_time: Any, cameras: Any, bay_id: str) -> list[Any]:
            from bays import load_bay

            type(self).asked += len(cameras)
            if self.error is not None:
                raise self.error
            if self.together is not None:
                await self.together.wait()
            images = {image.camera_name: image for image in make_capture(load_bay(bay_id), reference_time).images}
            return [
                CameraFailure(camera.name, FailureReason.UNREACHABLE, "switched off")
                if camera.name in self.down
                else images[camera.name]
                for camera in cameras
            ]

    ImageProviderFactory.register("scripted", ScriptedCameras)
    yield ScriptedCameras
    ImageProviderFactory._providers.pop("scripted")
    known_providers.discard("scripted")


@pytest.fixture
def inference_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the inference servers' sockets; pytest's own folders have names too long for one."""
    with tempfile.TemporaryDirectory(prefix="bo-") as folder:
        monkeypatch.setenv("INFERENCE_SOCKETS", folder)
        yield Path(folder)


@pytest.fixture
def scripted_work() -> Iterator[Any]:
    """Does an inference server's batches as a test says: each waits for `released`, and loads no model."""
    from inference.serving import Observed

    class ScriptedWork:
        def __init__(self) -> None:
            self.asked: list[Any] = []
            self.published: list[Any] = []
            self.began, self.released = threading.Event(), threading.Event()
            self.released.set()
            self.error: Exception | None = None
            self.publish = observed_without_models
            self.whole = True

        def observe(self, capture: Any, check_abandoned: Callable[[], None]) -> Any:
            self.asked.append(capture)
            self.began.set()
            while not self.released.wait(0.01):
                check_abandoned()
            if self.error is not None:
                raise self.error
            self.published.append(capture)
            return self.publish(capture)

        def is_published(self, _: Any) -> bool:
            return self.whole

        def loads(self) -> int:
            return 1

    def observed_without_models(capture: Any) -> Any:
        from artifacts import ArtifactReference

        path = f"observation/{capture.bay_id}/{capture.batch_id}/result.pkl"
        reference = ArtifactReference("observation", capture.bay_id, capture.batch_id, path, "b" * 64, 10, 1)
        return Observed(reference, frames=12, objects=34, failures={"C_2": "timed out"}, seconds=1.5)

    scripted = ScriptedWork()
    yield scripted
    scripted.released.set()


@pytest.fixture
def serving(inference_sockets: Path, scripted_work: Any) -> Any:
    """`async with serving(limit=8) as server`: an inference server of bay `yard` that does the scripted work."""
    from contextlib import asynccontextmanager

    from inference.serving.server import InferenceServer
    from inference.serving.sockets import BaySocket

    @asynccontextmanager
    async def start(limit: int = 8, grace_s: float = 5.0) -> Any:
        with BaySocket("yard") as place:
            server = InferenceServer(["yard"], scripted_work, limit)
            await server.listen(place)
            try:
                yield server
            finally:
                await server.stop(grace_s)

    return start


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """A PostgreSQL of the tests' own, on a free port."""
    from bay_observation.errors import SimulationError
    from lab.services.postgresql import PostgreSQL

    server = PostgreSQL({"fsync": "off"})
    try:
        server.__enter__()
    except SimulationError as error:
        pytest.skip(str(error))
    yield server
    server.__exit__(None, None, None)


@pytest.fixture
def empty_postgresql(postgresql: Any) -> Iterator[str]:
    """Address of a database of that server that holds nothing."""
    import psycopg

    name = f"test_{os.urandom(4).hex()}"
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgresql.url.removesuffix("postgres") + name
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Models of the real kinds with random weights: what they find means nothing.

    The `models` section of a bay whose three checkpoints have random weights, with absolute paths.
    """
    import torch

    from bays import Models
    from inference import runtime

    runtime.prepare()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ultralytics' own imports
        from ultralytics import YOLO

    from inference.types import CLASSES
    from inference.yard_sam import build_sam_vit_yard
    from lab.training.yolo import architecture, ship

    torch.manual_seed(3)
    folder: Path = tmp_path_factory.mktemp("checkpoints")
    detector = YOLO(architecture(folder, "yolo11", len(CLASSES))).model
    detector.names = dict(enumerate(CLASSES))
    classifier = YOLO(architecture(folder, "yolo11-cls", 4)).model
    classifier.names = dict(enumerate(("a", "b", "c", "d")))
    torch.save(build_sam_vit_yard().state_dict(), folder / "segmenter.pth")
    return Models(
        yolo_detection=ship(detector, "detect", folder / "detector.pt", 640),
        sam_segmentation=folder / "segmenter.pth",
        sam_model_type="vit_yard",
        classification=ship(classifier, "classify", folder / "stages.pt", 96),
        image_size=320,
        min_confidence=0.05,
    )


@pytest.fixture
def picture() -> Any:
    """A picture with something in it: (270, 480, 3) uint8, BGR."""
    import cv2
    import numpy as np

    canvas = np.full((270, 480, 3), 90, np.uint8)
    cv2.rectangle(canvas, (100, 80), (260, 200), (40, 80, 160), -1)
    cv2.rectangle(canvas, (300, 60), (420, 140), (160, 120, 60), -1)
    return canvas
