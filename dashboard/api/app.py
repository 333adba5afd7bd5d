"""The FastAPI application that Airflow's API server mounts below `/bay`."""

import gc
import html
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bay_observation import __version__
from bay_observation.errors import BayObservationError, ConfigError, HistoryError, HistoryUnavailableError
from dashboard.api import files, manual
from dashboard.api.access import refuse_foreign_writes
from dashboard.api.models import Problem
from dashboard.api.routes import (
    alerts,
    bays,
    calendar,
    cameras,
    crops,
    events,
    floor,
    health,
    reports,
    reviews,
    setup,
    slots,
    why,
)

API = "/api/v1"

# Nothing of ours runs or loads inside a document of this API; the page itself is Airflow's.
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "vary": "Cookie, Authorization, Accept-Encoding",
}
# More than the objects of the longest answer: five thousand events, a few objects each.
_ROWS_WITHOUT_COLLECTING = 50_000
_STYLE = "body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}td{padding:0 1rem 0 0}"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": words}
    for code, words in (
        (401, "not logged in"),
        (403, "no right to this bay"),
        (404, "there is no such thing"),
        (503, "the history or the store cannot be used now"),
    )
}


def create_app() -> FastAPI:
    """The application. Every route of it is behind Airflow's login; it mounts nothing."""
    app = FastAPI(
        title="Bay Observation",
        version=__version__,
        description="Where every block of the bays stands and stood, what happened, and what is missing.",
        dependencies=[Depends(get_user), Depends(refuse_foreign_writes), Depends(_spare_the_collector)],
        # FastAPI's own pages ask nobody for a login and load their scripts from a CDN.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    for part in (bays, floor, slots, crops, events, cameras, reviews, health, alerts, reports, calendar, setup, why):
        app.include_router(part.router, prefix=API, responses=_PROBLEMS)
    app.include_router(files.router)
    app.include_router(manual.router)
    app.add_api_route(f"{API}/openapi.json", _openapi(app), include_in_schema=False)
    app.add_api_route(f"{API}/docs", _docs(app), include_in_schema=False)
    app.add_exception_handler(BayObservationError, _known_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_middleware(_Headers)
    return app


@cache
def _spare_the_collector() -> None:
    """With the first question, leave what is there for good out of garbage collection, and make that rarer.

    A full collection walks all of Airflow's modules and takes 0.3 s. What is loaded later still takes 0.05 s, and
    answers of a thousand rows bring one about every few questions. Rows are freed without it: they form no cycles.
    """
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(_ROWS_WITHOUT_COLLECTING, *older)


class _Headers:
    """Security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "private, no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


async def _known_error(_: Request, error: Exception) -> Response:
    code = 500
    if isinstance(error, HistoryUnavailableError | ConfigError):
        code = 503
    elif isinstance(error, HistoryError):
        code = 404
    return JSONResponse({"detail": str(error)}, code)


async def _bad_request(_: Request, error: Exception) -> Response:
    # What was sent is not repeated: it may be no JSON value (NaN), or long.
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    words = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults]
    return JSONResponse({"detail": "; ".join(words) or "the request cannot be read"}, 422)


def _openapi(app: FastAPI) -> Callable[[Request], Response]:
    def openapi(request: Request) -> Response:
        """What this API answers, as OpenAPI."""
        return JSONResponse(_schema(app, request))

    return openapi


def _docs(app: FastAPI) -> Callable[[Request], Response]:
    def docs(request: Request) -> Response:
        """What this API answers, to be read. The page needs no script."""
        operations = [
            (method.upper(), path, operation)
            for path, methods in _schema(app, request)["paths"].items()
            for method, operation in methods.items()
        ]
        return HTMLResponse(
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(app.title)}</title>"
            f"<style>{_STYLE}</style><main><h1>{html.escape(app.title)} {html.escape(app.version)}</h1>"
            f"<p>{html.escape(app.description)} <a href=openapi.json>openapi.json</a></p>"
            f"{''.join(_operation(*one) for one in operations)}</main></html>"
        )

    return docs


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(map(_parameter, operation.get("parameters", [])))
    return (
        f"<h2><code>{method} {html.escape(path)}</code></h2><p>{html.escape(operation.get('description', ''))}</p>"
        f"<table>{rows}</table>"
    )


def _parameter(parameter: dict[str, Any]) -> str:
    cells = (
        parameter["name"],
        "required" if parameter.get("required") else "",
        parameter.get("description", ""),
        json.dumps(parameter.get("schema", {})),
    )
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def _schema(app: FastAPI, request: Request) -> dict[str, Any]:
    schema = dict(app.openapi())
    schema["servers"] = [{"url": str(request.scope.get("root_path", ""))}]
    return schema
