"""What people say of events and blocks, and what that changes in what is read."""

from collections.abc import Callable
from typing import Any

import pytest

DAY = {"start": "2025-07-01T22:00:00Z", "end": "2025-07-02T22:00:00Z"}
REVIEWS = "/api/v1/bays/yard/reviews"
Token = Callable[[str], dict[str, str]]


@pytest.fixture
def say(api: Any, token: Token) -> Callable[..., Any]:
    """say(kind=..., track_id=..., at=...): the answer to a review by yard's operator."""

    def post(person: str = "operator-of-yard", **said: Any) -> Any:
        return api.post(REVIEWS, headers=token(person), json=said)

    return post


@pytest.fixture
def moved(ask: Callable[..., Any]) -> Any:
    """The event of the block that moved."""
    return ask("bays/yard/events", kind="moved", **DAY)["events"][0]


def of(event: Any) -> dict[str, Any]:
    return {"track_id": event["track_id"], "at": event["time"], "event_kind": event["kind"]}


def test_a_judgement_stands_at_its_event_with_author_and_time(
    ask: Callable[..., Any], say: Callable[..., Any], moved: Any
) -> None:
    made = say(kind="confirmed", comment="I moved it", **of(moved))
    assert made.status_code == 201
    assert say(kind="rejected", **of(moved)).status_code == 201

    (event,) = ask("bays/yard/events", kind="moved", **DAY)["events"]
    assert (event["judgement"], event["comments"]) == ("rejected", 1)
    assert [event["judgement"] for event in ask("bays/yard/events", **DAY)["events"]].count(None) > 0
    first, second = ask("bays/yard/reviews", **DAY)["reviews"]
    assert (first["author"], first["kind"], first["comment"]) == ("operator-of-yard", "confirmed", "I moved it")
    assert first["made_at"] <= second["made_at"]
    assert first["cameras"] == ["C_2", "D_2"]


def test_figures_count_the_latest_judgements(ask: Callable[..., Any], say: Callable[..., Any], moved: Any) -> None:
    say(kind="rejected", **of(moved))
    say(kind="confirmed", **of(moved))
    exited = ask("bays/yard/events", kind="exited", **DAY)["events"][0]
    say(kind="rejected", **of(exited))

    figures = ask("bays/yard/reviews/figures", **DAY)

    assert figures["kinds"] == [
        {"name": "exited", "confirmed": 0, "rejected": 1},
        {"name": "moved", "confirmed": 1, "rejected": 0},
    ]
    assert figures["cameras"] == [
        {"name": "C_2", "confirmed": 1, "rejected": 1},
        {"name": "D_2", "confirmed": 1, "rejected": 1},
    ]
    assert figures["events"] == len(ask("bays/yard/events", **DAY)["events"])


def test_a_rejected_event_does_not_count_in_a_report(
    ask: Callable[..., Any], say: Callable[..., Any], moved: Any
) -> None:
    say(kind="rejected", **of(moved))

    assert "moved" not in ask("bays/yard/report", **DAY)["counts"]


def test_a_name_holds_for_every_stay_and_an_empty_one_takes_it_back(
    ask: Callable[..., Any], say: Callable[..., Any], moved: Any
) -> None:
    block = {"track_id": moved["track_id"], "at": moved["time"]}
    say(kind="name", value="B-204P", **block)

    names = {stay["track_id"]: stay["name"] for stay in ask("bays/yard/stays", **DAY)["stays"]}
    assert names.pop(moved["track_id"]) == "B-204P"
    assert set(names.values()) == {None}
    assert ask("bays/yard/events", kind="moved", **DAY)["events"][0]["name"] == "B-204P"

    say(kind="name", value="", **block)
    assert {stay["name"] for stay in ask("bays/yard/stays", **DAY)["stays"]} == {None}


def test_a_number_is_one_blocks_on_the_page_and_on_the_command_line(
    ask: Callable[..., Any], say: Callable[..., Any]
) -> None:
    from dashboard.api.history import history
    from tracking.history import BlockNames

    first, second = sorted(block["track_id"] for block in ask("bays/yard/floor")["blocks"])
    at = "2025-07-02T00:00:00Z"
    assert say(kind="name", value="4412P", track_id=first, at=at).status_code == 201

    assert say(kind="name", value="4412P", track_id=second, at=at).status_code == 409
    assert BlockNames(history(), "yard").find("4412P").track_id == first
    BlockNames(history(), "yard").give(second, "4412P", "foreman", move=True)

    names = {block["track_id"]: block["name"] for block in ask("bays/yard/floor")["blocks"]}
    assert names == {first: None, second: "4412P"}


def test_a_stage_holds_until_the_stay_is_over(ask: Callable[..., Any], say: Callable[..., Any], moved: Any) -> None:
    say(kind="stage", value="painting", track_id=moved["track_id"], at=DAY["start"].replace("22:", "23:"))

    stays = [stay for stay in ask("bays/yard/stays", **DAY)["stays"] if stay["track_id"] == moved["track_id"]]
    assert [(stay["stage"], stay["seen_stage"]) for stay in stays] == [("painting", "welding"), ("welding", None)]


def test_a_track_that_continues_another_has_its_name(ask: Callable[..., Any], say: Callable[..., Any]) -> None:
    tracks = [stay["track_id"] for stay in ask("bays/yard/floor")["blocks"]]
    say(kind="name", value="B-7", track_id=tracks[0], at="2025-07-01T23:00:00Z")
    say(kind="same", value=tracks[0], track_id=tracks[1], at="2025-07-01T23:00:00Z")

    blocks = {block["track_id"]: block for block in ask("bays/yard/floor")["blocks"]}

    assert (blocks[tracks[1]]["name"], blocks[tracks[1]]["continues"]) == ("B-7", tracks[0])
    assert blocks[tracks[0]]["continues"] is None


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"kind": "confirmed"}, 422),
        ({"kind": "name", "event_kind": "moved", "value": "B"}, 422),
        ({"kind": "comment", "comment": "  "}, 422),
        ({"kind": "comment", "comment": "good", "value": "B"}, 422),
        ({"kind": "comment", "comment": "a\x00b"}, 422),
        ({"kind": "name", "value": "two\nlines"}, 422),
        ({"kind": "name", "value": "two words"}, 422),
        ({"kind": "name", "value": "B", "author": "somebody else"}, 422),
        ({"kind": "wrong"}, 422),
        ({"kind": "same", "value": "yard-000002", "track_id": "yard-000002"}, 422),
        ({"kind": "rejected", "event_kind": "exited"}, 404),
        ({"kind": "name", "value": "B", "track_id": "yard-999999"}, 404),
        ({"kind": "same", "value": "yard-999999"}, 404),
        ({"kind": "name", "value": "B", "at": "2025-07-01T12:00:00Z"}, 404),
    ],
)
def test_what_says_nothing_is_refused(say: Callable[..., Any], moved: Any, said: Any, code: int) -> None:
    answer = say(**{"track_id": moved["track_id"], "at": moved["time"], **said})

    assert answer.status_code == code
    assert len(answer.json()["detail"]) > 10


def test_a_review_needs_the_right_to_correct_the_bay(say: Callable[..., Any], ask: Callable[..., Any]) -> None:
    name = {"kind": "name", "value": "B", "track_id": "yard-000001", "at": DAY["start"]}

    assert say("reader-of-yard", **name).status_code == 403
    assert say("operator-of-other", **name).status_code == 403
    assert ask("bays/yard/reviews", **DAY)["reviews"] == []


def test_another_sites_page_says_nothing(api: Any, token: Token, moved: Any) -> None:
    said = {"kind": "confirmed", **of(moved)}
    cookie = {"Cookie": f"_token={token('operator-of-yard')['Authorization'].removeprefix('Bearer ')}"}

    def post(**headers: str) -> int:
        return int(api.post(REVIEWS, headers={**cookie, **headers}, json=said).status_code)

    assert post(Origin="http://evil.example") == 403
    assert post() == 403
    assert post(Origin="http://bays.yard") == 201
    form = {**cookie, "Origin": "http://bays.yard", "Content-Type": "text/plain"}
    assert api.post(REVIEWS, headers=form, content=b'{"kind": "confirmed"}').status_code == 415


def test_reviews_follow_their_block_when_tracking_names_it_otherwise(
    ask: Callable[..., Any], say: Callable[..., Any], moved: Any
) -> None:
    """Slots that are tracked again may leave the block at that place under another id."""
    import sqlalchemy as sa

    from dashboard.api.history import history
    from tracking.history.schema import batches, events, positions

    say(kind="name", value="B-204P", track_id=moved["track_id"], at=moved["time"])
    say(kind="confirmed", **of(moved))
    with history().database.writing() as connection, connection.begin():
        for table in (positions, events):
            renamed = table.update().where(table.c.track_id == moved["track_id"])
            connection.execute(renamed.values(track_id="yard-000077"))
        connection.execute(sa.update(batches).where(batches.c.sha256.is_not(None)).values(sha256="0" * 64))

    names = {stay["track_id"]: stay["name"] for stay in ask("bays/yard/stays", **DAY)["stays"]}
    assert names["yard-000077"] == "B-204P"
    (event,) = ask("bays/yard/events", kind="moved", **DAY)["events"]
    assert (event["track_id"], event["judgement"]) == ("yard-000077", "confirmed")


def test_the_history_is_as_it_was(say: Callable[..., Any], moved: Any) -> None:
    from dashboard.api.history import history

    before = list(history().export("yard"))
    say(kind="name", value="B-204P", track_id=moved["track_id"], at=moved["time"])
    say(kind="rejected", **of(moved))

    assert list(history().export("yard")) == before
