"""What Airflow finds by the entry point, in a real API server's application."""

import gc
import hashlib
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

STATIC = Path(__file__).parents[2] / "dashboard" / "static"


def test_airflow_finds_the_plugin_and_its_page() -> None:
    from airflow.api_fastapi.core_api.datamodels.plugins import ReactAppResponse

    (entry,) = [one for one in entry_points(group="airflow.plugins") if one.name == "bay_dashboard"]
    plugin = entry.load()()

    # One app that Airflow's own schema refuses would take the whole plugin out of the UI.
    apps = [ReactAppResponse.model_validate(app) for app in plugin.react_apps]
    assert {app.destination for app in apps} >= {"nav", "dashboard", "dag_run"}
    digest = hashlib.sha256((STATIC / "dashboard.js").read_bytes()).hexdigest()
    assert {app.bundle_url for app in apps} == {f"bay/static/dashboard.js?v={digest[:16]}"}


def test_the_bundle_leaves_every_component_that_the_plugin_names() -> None:
    from dashboard.plugin import BayDashboardPlugin

    bundle = (STATIC / "dashboard.js").read_text(encoding="utf-8")

    for app in BayDashboardPlugin().react_apps:
        name = app["name"]
        assert f"{name}:" in bundle or f'"{name}":' in bundle or f"`{name}`:" in bundle, name


def test_the_bundle_asks_no_other_host() -> None:
    bundle = (STATIC / "dashboard.js").read_text(encoding="utf-8")

    assert "https://" not in bundle
    assert "http://" not in bundle.replace("http://www.w3.org", "")


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.plugin import BayDashboardPlugin

    monkeypatch.setenv("DASHBOARD", "off")

    assert BayDashboardPlugin().fastapi_apps == []
    assert BayDashboardPlugin().react_apps == []


@pytest.mark.slow(2)
def test_a_triggerer_pays_nothing_for_it() -> None:
    """Every process of Airflow imports the plugin; only the API server needs what is behind it."""
    code = "import dashboard.plugin, sys; print(*[m for m in ('fastapi', 'shapely', 'tracking') if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[-2].strip() == ""


@pytest.mark.slow
def test_in_airflows_own_application_nothing_of_ours_answers_without_a_login(
    yard: Any, auth: Any, client_of: Callable[[Any], Any]
) -> None:
    """The whole API server's application: what a plugin mounts is anonymous by default there."""
    from airflow.api_fastapi.app import create_app
    from starlette.routing import Mount

    whole = create_app(apps="core")
    assert gc.isenabled()  # it is paused while our routes are made
    mounted = [route for route in whole.routes if isinstance(route, Mount) and route.path.startswith("/bay")]
    assert len(mounted) == 1
    asked = {(method, route.path) for route in mounted[0].app.routes for method in route.methods or {"GET"}}
    client = client_of(whole)

    codes = {
        (method, path): client.request(method, "/bay" + path.replace("{bay_id}", "yard")).status_code
        for method, path in asked
    }

    assert set(codes.values()) == {401}
