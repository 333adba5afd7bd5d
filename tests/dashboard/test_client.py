"""The Python client, against the application itself."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bay_observation.errors import HistoryError, HistoryUnavailableError
from dashboard.client import BayClient

START = datetime(2025, 7, 1, 22, tzinfo=UTC)
END = START + timedelta(hours=6)


@pytest.fixture
def client_as(api: Any, token: Callable[[str], dict[str, str]]) -> Iterator[Callable[[str], BayClient]]:
    """client_as("boss"): the client of a person, whose requests go to the application."""

    def send(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix("/yard/bay")
        answer = api.request(request.method, path, headers=dict(request.headers))
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
