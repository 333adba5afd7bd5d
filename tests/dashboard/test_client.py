"""The Python client, against the application itself."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bay_observation.errors import HistoryError, HistoryUnavailableError
from dashboard.api.models import ClickedPoints, NewMute, NewReview
from dashboard.client import BayClient

START = datetime(2025, 7, 1, 22, tzinfo=UTC)
END = START + timedelta(hours=6)


@pytest.fixture
def client_as(api: Any, token: Callable[[str], dict[str, str]]) -> Iterator[Callable[[str], BayClient]]:
    """client_as("boss"): the client of a person, whose requests go to the application."""

    def send(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix("/yard/bay")
        answer = api.request(request.method, path, headers=dict(request.headers), content=request.content)
        return httpx.Response(answer.status_code, content=answer.content)

    made = []

    def make(person: str) -> BayClient:
        login = token(person)["Authorization"].removeprefix("Bearer ")
        made.append(BayClient("http://bays.yard/yard/", login, transport=httpx.MockTransport(send)))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_answers_are_the_apis_own_types(client_as: Callable[[str], BayClient]) -> None:
    bays = client_as("boss")

    assert [bay.bay_id for bay in bays.bays().bays] == ["other", "yard"]
    assert {block.area for block in bays.floor("yard").blocks} == {"A25", "A13"}
    assert {block.area for block in bays.floor("yard", START + timedelta(minutes=70)).blocks} == {"A25", "A26", "A1E"}
    assert len(bays.stays("yard", START, END).stays) >= 4
    assert bays.report("yard", START, END).counts["moved"] == 1
    assert next(one for one in bays.cameras("yard", START, END).cameras if one.name == "C_4").down
    assert bays.bay("yard").width == 150


def test_pages_come_as_one(client_as: Callable[[str], BayClient]) -> None:
    bays = client_as("boss")

    whole = list(bays.events("yard", START, END))

    assert list(bays.events("yard", START, END, limit=1)) == whole
    assert [event.kind for event in bays.events("yard", START, END, kind=["moved"])] == ["moved"]
    assert any(gap.outcome == "skipped" for gap in bays.gaps("yard", START, END))


def test_what_the_page_shows_from_python(client_as: Callable[[str], BayClient]) -> None:
    bays, slot = client_as("boss"), START + timedelta(hours=1)
    moment = slot + timedelta(minutes=10)
    block = next(block for block in bays.floor("yard").blocks if block.area == "A25")

    assert block.track_id in {one.track_id for one in bays.tracks("yard", START, END, area="A25")}
    assert bays.track("yard", block.track_id).stays[-1].area == "A25"
    assert {one.camera: one.says for one in bays.why("yard", block.track_id, moment).cameras}["C_2"] == "seen"
    assert bays.unseen("yard", slot).known
    assert {frame.camera: frame.failure for frame in bays.frames("yard", slot).frames}["C_4"] == "timed out"
    assert bays.picture("yard", slot, "C_2").startswith(b"\xff\xd8")
    assert bays.picture("yard", slot, "C_2", whole=True).startswith(b"\xff\xd8")
    ((crop, picture),) = bays.crops("yard", block.track_id, START, END)
    assert (crop.camera, picture[:2]) == ("C_2", b"\xff\xd8")
    assert {check.name for check in bays.health("yard").checks} >= {"floor", "store"}
    assert bays.report_file("yard", START, END, "xlsx").startswith(b"PK")
    assert sum(day.missing for day in bays.calendar("yard", START, START + timedelta(days=2)).days) > 0
    text = bays.file("yard").text
    assert bays.check_file("yard", text.replace("width: 150", "width: 151")).diff


def test_every_route_of_the_api_has_a_method(api: Any) -> None:
    """Asked of a server that has no answer: what counts is the address."""
    asked: list[tuple[str, str]] = []

    def send(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path.removeprefix("/bay")))
        crop = {"slot": START.isoformat(), "camera": "C_2", "box": [0, 0, 9, 9]}
        crops = {"bay_id": "yard", "track_id": "T", "crops": [crop]}
        return httpx.Response(200, json=crops) if request.url.path.endswith("/crops") else httpx.Response(404, json={})

    said = NewReview(kind="comment", track_id="T", at=START, comment="seen")
    points = ClickedPoints(width=1920, height=1080, points=[])
    with BayClient("http://bays.yard", "token", transport=httpx.MockTransport(send)) as bays:
        calls: list[Callable[[], Any]] = [
            bays.bays,
            *(lambda ask=ask: ask("yard") for ask in (bays.bay, bays.floor, bays.health, bays.poses, bays.file)),
            *(
                lambda ask=ask: list(ask("yard", START, END))
                for ask in (bays.stays, bays.tracks, bays.cameras, bays.report, bays.calendar, bays.reviews)
            ),
            *(lambda ask=ask: list(ask("yard", START, END)) for ask in (bays.events, bays.gaps, bays.review_figures)),
            lambda: bays.report_file("yard", START, END, "csv"),
            lambda: bays.track("yard", "T"),
            lambda: bays.why("yard", "T", START),
            lambda: bays.crops("yard", "T", START, END),
            *(lambda ask=ask: ask("yard", START) for ask in (bays.unseen, bays.frames)),
            *(lambda whole=whole: bays.picture("yard", START, "C_2", whole=whole) for whole in (False, True)),
            lambda: bays.review("yard", said),
            lambda: bays.alerts("yard"),
            lambda: bays.acknowledge("yard", "a1" * 8),
            lambda: bays.mute("yard", NewMute(minutes=60)),
            lambda: bays.end_mute("yard", "a1" * 16),
            lambda: bays.check_file("yard", ""),
            lambda: bays.check_areas("yard", []),
            lambda: bays.calibrate("yard", "C_2", points),
        ]
        for call in calls:
            with contextlib.suppress(HistoryError):
                call()
    routes = [route for route in api.app.routes if getattr(route, "tags", None)]
    unasked = [
        route.path
        for route in routes
        if not any(method in route.methods and route.path_regex.match(path) for method, path in asked)
    ]
    assert (len(routes) > 20, unasked) == (True, [])


def test_what_is_said_is_read_again(client_as: Callable[[str], BayClient]) -> None:
    bays = client_as("operator-of-yard")
    (moved,) = bays.events("yard", START, END, kind=["moved"])

    said = bays.review(
        "yard", NewReview(kind="confirmed", track_id=moved.track_id, at=moved.time, event_kind="moved", comment="seen")
    )

    assert [one.review_id for one in bays.reviews("yard", START, END, track=moved.track_id)] == [said.review_id]
    assert [(one.name, one.confirmed) for one in bays.review_figures("yard", START, END).kinds] == [("moved", 1)]
    with pytest.raises(HistoryError, match="403: no right to correct bay yard"):
        client_as("reader-of-yard").review("yard", NewReview(kind="comment", track_id=moved.track_id, at=moved.time))


def test_refusals_have_the_servers_words(client_as: Callable[[str], BayClient]) -> None:
    with pytest.raises(HistoryError, match="403: no right to read bay yard"):
        client_as("reader-of-other").floor("yard")
    with pytest.raises(HistoryError, match="there is no bay nowhere"):
        client_as("boss").floor("nowhere")


def test_what_is_no_dashboard_is_unavailable() -> None:
    def other(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="<html>")

    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    for send, words in ((other, "with its path"), (down, "cannot be reached")):
        with (
            BayClient("http://elsewhere", "token", transport=httpx.MockTransport(send)) as bays,
            pytest.raises(HistoryUnavailableError, match=words),
        ):
            bays.bays()
