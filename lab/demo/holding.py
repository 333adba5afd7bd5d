"""While the demo sends its own slots, its Airflow starts no run of anyone else.

The cameras show one moment at a time. A run that a person starts meanwhile would take frames of one of the demo's
slots for frames of now, and its batch would stand in the history before the slots that follow. Airflow's API server
refuses it with words, which the page shows in its dialog *Trigger*.
"""

import os
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from lab.services.airflow_client import AirflowClient

_FILE = "held"
_HEADER = "x-held-for"
_PLUGIN = f"from {__name__} import HoldingPlugin  # noqa: F401\n"
# What starts a run, or a run's tasks again.
_STARTS = re.compile(
    r"/api/v2/(dags/[^/]+/(dagRuns(/[^/]+/clear)?|clearTaskInstances)|backfills|assets/[^/]+/materialize)"
)
_WORDS = (
    "The demo sends its own slots, and its cameras show the moments of those. Start other runs when it says that"
    " Airflow stays up (bay-observation demo --keep)."
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


@contextmanager
def held_for(airflow: AirflowClient) -> Iterator[Callable[[], None]]:
    """From before Airflow starts until the given function is called, only this client starts runs.

    Args:
        airflow: has not started yet; its plugins lie in `plugins` of its home.
    """
    airflow.headers[_HEADER] = token = secrets.token_urlsafe(16)
    plugins, held = airflow.home / "plugins", airflow.home / _FILE
    plugins.mkdir(parents=True, exist_ok=True)
    (plugins / "holding.py").write_text(_PLUGIN, encoding="utf-8")
    held.write_text(token, encoding="utf-8")

    def let_go() -> None:
        held.unlink(missing_ok=True)

    try:
        yield let_go
    finally:
        let_go()


class Holding:
    """ASGI middleware that answers 409 to who would start a run while the file with the token is there."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._held = Path(os.environ["AIRFLOW_HOME"]) / _FILE

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        app = self._app
        if scope["type"] == "http" and scope["method"] == "POST" and _STARTS.fullmatch(scope["path"]):
            token = dict(scope["headers"]).get(_HEADER.encode(), b"").decode("latin-1")
            if self._held.exists() and token != self._held.read_text(encoding="utf-8"):
                from starlette.responses import JSONResponse

                app = JSONResponse({"detail": _WORDS}, 409)
        await app(scope, receive, send)


class HoldingPlugin(AirflowPlugin):
    """The middleware, in the demo's own API server."""

    name = "demo_holding"
    fastapi_root_middlewares = [{"middleware": Holding, "name": "Demo"}]  # noqa: RUF012 - Airflow's contract
