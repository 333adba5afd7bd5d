"""What Airflow loads by the entry point `airflow.plugins`.

Every process of Airflow imports this module, the triggerer too. So it imports nothing heavy:
the FastAPI application is made when the API server asks for it, and nowhere else.
"""

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from bay_observation.settings import DASHBOARD

URL_PREFIX = "/bay"
BUNDLE = Path(__file__).parent / "static" / "dashboard.js"

# Name, destination, and where it is shown. The name is what stands on the tab or the menu, and the
# global under which the bundle leaves the component for Airflow.
_APPS: tuple[dict[str, Any], ...] = (
    {"name": "Bays", "destination": "nav", "url_route": "bays", "nav_top_level": True},
    {"name": "Bays now", "destination": "dashboard"},
    {"name": "Floor", "destination": "dag_run", "url_route": "bay-floor"},
    {"name": "Frames", "destination": "task_instance", "url_route": "bay-frames"},
)


class BayDashboardPlugin(AirflowPlugin):
    """The page *Bays*, the strip on Home, two tabs, links on tasks, and the API below `/bay`."""

    name = "bay_dashboard"

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]  # made when it is asked for
        """The REST API; Airflow's API server alone asks for it."""
        if not DASHBOARD.read():
            return []
        with _no_collecting():
            from dashboard.api.app import create_app

            return [{"name": "Bay dashboard", "url_prefix": URL_PREFIX, "app": create_app()}]

    @cached_property
    def react_apps(self) -> list[Any]:  # type: ignore[override]
        """Where the bundle's components are shown. The address changes with the bundle, so that it may be cached."""
        if not DASHBOARD.read():
            return []
        # Relative: the host resolves it against its own base address, which may have a path.
        base = URL_PREFIX.removeprefix("/")
        address = f"{base}/static/dashboard.js?v={bundle_digest()}"
        icon = f"{base}/static/bays.svg"
        dark = f"{base}/static/bays_dark.svg"
        return [{**app, "bundle_url": address, "icon": icon, "icon_dark_mode": dark} for app in _APPS]

    @cached_property
    def global_operator_extra_links(self) -> list[Any]:  # type: ignore[override]
        """Buttons on the tasks of the bays' DAGs; a task of any other DAG has none of them."""
        if not DASHBOARD.read():
            return []
        from dashboard.links import bay_links

        return list(bay_links())


def bundle_digest() -> str:
    """Short digest of the built bundle; empty where it was not built."""
    return hashlib.sha256(BUNDLE.read_bytes()).hexdigest()[:16] if BUNDLE.exists() else ""


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Make no garbage collection: each walks all of Airflow, and that is two fifths of what the API's making takes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
