"""Alerts on the page: who sees them, who takes them over, what is muted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracking.history.alerts import Alert, Mute, add_mute, alerts_of, begin_alert, end_alert, mutes_at

NOW = datetime.now(UTC).replace(microsecond=0)
OF_YARD = Alert("a1" * 8, NOW - timedelta(hours=1), "CameraDown", "warning", "yard", {"camera": "C_4"}, "C_4 is down")
OF_OTHER = Alert("b2" * 8, NOW - timedelta(hours=1), "BaySilent", "critical", "other", {}, "nothing tracked in other")
OF_ALL = Alert("c3" * 8, NOW - timedelta(hours=2), "DiskFillsUp", "critical", "", {}, "the store is full in a day")


@pytest.fixture
def known(api: Any) -> Any:
    """The history with an alert of each bay, and one of the whole yard."""
    from dashboard.api.history import history

    for alert in (OF_YARD, OF_OTHER, OF_ALL):
        begin_alert(history(), alert, NOW)
    return history()


@pytest.fixture
def post(api: Any, known: Any, token: Callable[[str], dict[str, str]]) -> Callable[..., Any]:
    """post("alerts/acknowledged", {...}, person="boss"): the answer about bay `yard`."""

    def send(path: str, body: dict[str, Any], person: str = "boss", bay: str = "yard") -> Any:
        return api.post(f"/api/v1/bays/{bay}/{path}", headers=token(person), json=body)

    return send


def test_a_person_of_the_bay_sees_its_alerts_alone(known: Any, ask: Callable[..., Any]) -> None:
    (row,) = ask("bays/yard/alerts", person="reader-of-yard")["alerts"]

    assert (row["name"], row["summary"], row["labels"]) == ("CameraDown", "C_4 is down", {"camera": "C_4"})
    assert not row["may_acknowledge"]


def test_who_reads_every_bay_sees_those_of_the_whole_yard(known: Any, ask: Callable[..., Any]) -> None:
    rows = ask("bays/yard/alerts")["alerts"]

    assert [row["fingerprint"] for row in rows] == [OF_YARD.fingerprint, OF_ALL.fingerprint]
    assert [row["bay_id"] for row in rows] == ["yard", None]
    assert all(row["may_acknowledge"] for row in rows)


def test_what_ended_is_there_for_a_day(known: Any, ask: Callable[..., Any]) -> None:
    long_ago = Alert("d4" * 8, NOW - timedelta(days=2), "StageFails", "warning", "yard")
    begin_alert(known, long_ago, NOW - timedelta(days=2))
    end_alert(known, long_ago.fingerprint, NOW - timedelta(hours=25))
    end_alert(known, OF_YARD.fingerprint, NOW)

    rows = {row["fingerprint"]: row for row in ask("bays/yard/alerts")["alerts"]}

    assert set(rows) == {OF_YARD.fingerprint, OF_ALL.fingerprint}
    assert rows[OF_YARD.fingerprint]["until"] is not None
    assert not rows[OF_YARD.fingerprint]["may_acknowledge"]


def test_an_alert_is_taken_over_under_the_persons_name(post: Callable[..., Any], known: Any) -> None:
    first = post("alerts/acknowledged", {"fingerprint": OF_YARD.fingerprint}, "operator-of-yard")
    second = post("alerts/acknowledged", {"fingerprint": OF_YARD.fingerprint})

    assert first.status_code == 201
    assert first.json()["acknowledged_by"] == second.json()["acknowledged_by"] == "operator-of-yard"
    (alert,) = alerts_of(known, bay_id="yard")
    assert alert.acknowledged_by == "operator-of-yard"
    assert alert.acknowledged_at is not None


@pytest.mark.parametrize(
    ("alert", "person", "code"),
    [(OF_OTHER, "operator-of-yard", 404), (OF_ALL, "operator-of-yard", 404), (OF_ALL, "boss", 201)],
)
def test_an_alert_of_others_is_not_taken_over_through_this_bay(
    post: Callable[..., Any], known: Any, alert: Alert, person: str, code: int
) -> None:
    answer = post("alerts/acknowledged", {"fingerprint": alert.fingerprint}, person)

    assert answer.status_code == code, answer.text
    (kept,) = alerts_of(known, bay_id=alert.bay_id)
    assert (kept.acknowledged_by is None) == (code != 201)


def test_the_first_characters_are_no_alert_here(post: Callable[..., Any], known: Any) -> None:
    """On the command line they name one; here two bays might begin alike."""
    assert post("alerts/acknowledged", {"fingerprint": OF_YARD.fingerprint[:8]}).status_code == 404


def test_a_bay_is_muted_and_heard_again(post: Callable[..., Any], known: Any, ask: Callable[..., Any]) -> None:
    made = post("mutes", {"minutes": 60, "kind": "CameraDown", "reason": " C_4 is exchanged "}, "operator-of-yard")
    assert made.status_code == 201
    (mute,) = mutes_at(known, datetime.now(UTC))
    assert (mute.author, mute.bay_id, mute.kind, mute.reason) == (
        "operator-of-yard",
        "yard",
        "CameraDown",
        "C_4 is exchanged",
    )
    assert mute.until - mute.made_at == timedelta(hours=1)
    (row,) = ask("bays/yard/alerts", person="reader-of-yard")["mutes"]
    assert not row["may_end"]

    ended = post("mutes/ended", {"mute_id": row["mute_id"]}, "operator-of-yard")

    assert ended.status_code == 201
    assert mutes_at(known, datetime.now(UTC)) == []
    assert post("mutes/ended", {"mute_id": row["mute_id"]}, "operator-of-yard").status_code == 404


@pytest.mark.parametrize("bay", ["other", ""])
def test_a_mute_of_others_is_not_ended_through_this_bay(post: Callable[..., Any], known: Any, bay: str) -> None:
    mute = Mute(NOW, NOW + timedelta(hours=3), "kim", bay)
    add_mute(known, mute)

    assert post("mutes/ended", {"mute_id": mute.mute_id}).status_code == 404
    assert len(mutes_at(known, datetime.now(UTC))) == 1


@pytest.mark.parametrize(
    "wrong",
    [{}, {"minutes": 0}, {"minutes": 50_000}, {"minutes": 5, "kind": "no kind"}, {"minutes": 5, "bay_id": "other"}],
)
def test_a_mute_that_is_none(post: Callable[..., Any], known: Any, wrong: dict[str, Any]) -> None:
    assert post("mutes", wrong).status_code == 422
    assert mutes_at(known, datetime.now(UTC)) == []


def test_home_counts_what_nobody_has_taken_over(post: Callable[..., Any], ask: Callable[..., Any]) -> None:
    def counts() -> dict[str, int]:
        return {bay["bay_id"]: bay["alerts"] for bay in ask("bays")["bays"]}

    assert counts() == {"yard": 1, "other": 1}
    post("alerts/acknowledged", {"fingerprint": OF_YARD.fingerprint})
    assert counts() == {"yard": 0, "other": 1}
