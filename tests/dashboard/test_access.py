"""Every route of the dashboard, asked by people who may not."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

START, END, SLOT = "2025-07-01T22:00:00Z", "2025-07-02T22:00:00Z", "2025-07-01T23:00:00Z"
QUERY = {"start": START, "end": END, "slot": SLOT, "at": SLOT}
VALUES = {
    "bay_id": "yard",
    "track_id": "yard-000001",
    "name": "dashboard.js",
    "slot": "20250701-230000",
    "camera": "C_2",
    "form": "csv",
}


def routes(app: Any) -> Iterator[tuple[str, str]]:
    """Method and address of everything that the application answers; a mount would be found too."""
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route}: what is no route of FastAPI's has no login"
        for method in sorted(route.methods):
            yield method, route.path_format.format(**VALUES)


def send(client: Any, method: str, path: str, headers: dict[str, str]) -> Any:
    body = {"json": {}} if method not in ("GET", "HEAD") else {}
    return client.request(method, path, headers=headers, params=QUERY, **body)


@pytest.mark.slow(1)
def test_nothing_answers_without_a_login(api: Any) -> None:
    answers = {(method, path): send(api, method, path, {}).status_code for method, path in routes(api.app)}

    assert len(answers) >= 12
    assert {address for address, code in answers.items() if code != 401} == set()


@pytest.mark.slow(0.3)
@pytest.mark.parametrize("junk", ["Bearer junk", "Bearer " + "a.b.c", "Basic YWRtaW46YWRtaW4="])
def test_nothing_answers_to_junk(api: Any, junk: str) -> None:
    codes = {send(api, method, path, {"Authorization": junk}).status_code for method, path in routes(api.app)}

    assert codes <= {401, 403}


def test_another_bays_operator_sees_nothing_of_this_one(api: Any, token: Callable[[str], dict[str, str]]) -> None:
    login = token("operator-of-other")
    answers = {(method, path): send(api, method, path, login) for method, path in routes(api.app) if "yard" in path}

    assert len(answers) >= 8
    assert {address for address, answer in answers.items() if answer.status_code != 403} == set()
    assert all("A25" not in answer.text for answer in answers.values())


def test_a_reader_writes_nothing(api: Any, token: Callable[[str], dict[str, str]]) -> None:
    login = token("reader-of-yard")
    writes = {
        (method, path): send(api, method, path, login).status_code
        for method, path in routes(api.app)
        if method not in ("GET", "HEAD")
    }

    assert {address for address, code in writes.items() if code != 403} == set()


def test_reading_never_writes(api: Any) -> None:
    """A GET that wrote could be sent by a picture on any page."""
    assert {method for method, path in routes(api.app) if method not in ("GET", "HEAD", "POST")} == set()


@pytest.mark.slow(1)
def test_answers_carry_their_policy(api: Any, token: Callable[[str], dict[str, str]]) -> None:
    for method, path in routes(api.app):
        headers = send(api, method, path, token("boss")).headers
        assert headers["content-security-policy"].startswith("default-src 'none'"), path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"].startswith("private")


def test_the_description_is_there_for_those_who_log_in(api: Any, token: Callable[[str], dict[str, str]]) -> None:
    paths = api.get("/api/v1/openapi.json", headers=token("boss")).json()["paths"]
    page = api.get("/api/v1/docs", headers=token("boss"))

    assert "/api/v1/bays/{bay_id}/stays" in paths
    assert "/api/v1/bays/{bay_id}/stays" in page.text
    assert "<script" not in page.text
    assert api.get("/docs", headers=token("boss")).status_code == 404
    assert api.get("/openapi.json", headers=token("boss")).status_code == 404
