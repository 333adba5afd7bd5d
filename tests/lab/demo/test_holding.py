"""While the demo sends its own slots, a person's *Trigger* is refused with words."""

import asyncio
import importlib.util
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from lab.demo.holding import Holding, HoldingPlugin, held_for
from lab.services.embedded_airflow import EmbeddedAirflow

RUNS = "/api/v2/dags/observation_demo_bay_dag/dagRuns"


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedAirflow:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return EmbeddedAirflow(tmp_path, dags_folder=tmp_path)


class Server:
    """An API server that answers `done` to all that is not refused."""

    def __init__(self) -> None:
        self._app = Starlette(
            routes=[Route("/{path:path}", lambda _: PlainTextResponse("done"), methods=["GET", "POST"])]
        )
        self._app.add_middleware(Holding)

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
                return await client.request(method, path, **more)

        return asyncio.run(asked())

    def post(self, path: str, **more: object) -> httpx.Response:
        return self.ask("POST", path, **more)


@pytest.fixture
def server(airflow: EmbeddedAirflow) -> Server:
    return Server()


@pytest.mark.parametrize(
    "path",
    [
        RUNS,
        f"{RUNS}/manual__1/clear",
        "/api/v2/dags/tracking_demo_bay_dag/clearTaskInstances",
        "/api/v2/backfills",
        "/api/v2/assets/3/materialize",
    ],
)
def test_what_would_start_a_run_is_refused_until_the_demo_lets_go(airflow, server, path):
    with held_for(airflow) as let_go:
        refused = server.post(path)
        assert (refused.status_code, "its cameras show the moments" in refused.json()["detail"]) == (409, True)
        assert server.post(path, headers={"x-held-for": "guessed"}).status_code == 409
        assert server.post(path, headers=airflow.headers).text == "done"
        let_go()
        assert server.post(path).text == "done"


def test_looking_and_what_tasks_say_are_never_refused(airflow, server):
    with held_for(airflow):
        assert server.ask("GET", RUNS).text == "done"
        assert server.post("/api/v2/dags/observation_demo_bay_dag/dagRuns/list").text == "done"
        assert server.post("/execution/dag-runs/fusion_demo_bay_dag/1").text == "done"


def test_a_demo_that_fails_holds_nothing(airflow, server):
    with pytest.raises(RuntimeError), held_for(airflow):
        raise RuntimeError
    assert server.post(RUNS).text == "done"


def test_airflow_finds_the_plugin(airflow):
    with held_for(airflow):
        (file,) = (airflow.home / "plugins").iterdir()
    spec = importlib.util.spec_from_file_location("a_plugin", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.HoldingPlugin is HoldingPlugin
    assert HoldingPlugin.fastapi_root_middlewares[0]["middleware"] is Holding
