"""The yard's own numbers of blocks, over the API."""

from collections.abc import Callable
from typing import Any

import pytest

NAMES = "/api/v1/bays/yard/names"
FIRST, SECOND = "yard-000001", "yard-000002"


@pytest.fixture
def give(api: Any, token: Callable[[str], dict[str, str]]) -> Callable[..., Any]:
    """give("4412P", track_id=..., person="operator-of-yard")"""

    def send(name: str, person: str = "operator-of-yard", **body: Any) -> Any:
        return api.post(NAMES, headers=token(person), json={"name": name, **body})

    return send


def test_a_block_gets_its_number_from_a_person(give: Callable[..., Any], ask: Callable[..., Any]) -> None:
    given = give("4412P", track_id=FIRST)

    assert given.status_code == 200, given.text
    assert (given.json()["name"], given.json()["given_by"]) == ("4412P", "operator-of-yard")
    assert ask("bays/yard/names")["names"] == [given.json()]


def test_a_number_is_moved_only_where_that_is_said(give: Callable[..., Any], ask: Callable[..., Any]) -> None:
    give("4412P", track_id=FIRST)

    assert give("4412P", track_id=SECOND).status_code == 409
    assert give("4412P", track_id=SECOND, move=True).status_code == 200
    assert [one["track_id"] for one in ask("bays/yard/names")["names"]] == [SECOND]


def test_a_number_is_taken_away(
    give: Callable[..., Any], ask: Callable[..., Any], api: Any, token: Callable[[str], dict[str, str]]
) -> None:
    give("4412P", track_id=FIRST)

    def take() -> Any:
        return api.post(f"{NAMES}/4412P/take", headers=token("operator-of-yard"), json={})

    assert take().status_code == 204
    assert ask("bays/yard/names")["names"] == []
    assert take().status_code == 404


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("4412P", {"track_id": "yard-000099"}, 404),
        ("44 12", {"track_id": FIRST}, 422),
        ("4412P", {"track_id": FIRST, "author": "somebody else"}, 422),
        ("4412P", {}, 422),
    ],
)
def test_what_cannot_be_named_is_refused(give: Callable[..., Any], name: str, body: dict[str, Any], code: int) -> None:
    assert give(name, **body).status_code == code
