"""What the API answers of a small history."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

START = datetime(2025, 7, 1, 23, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)
DAY = {"start": "2025-07-01T22:00:00Z", "end": "2025-07-02T22:00:00Z"}


def at(number: int) -> str:
    return (START + number * SLOT).isoformat()


@pytest.mark.slow(0.5)
def test_bays(ask: Callable[..., Any]) -> None:
    bays = {bay["bay_id"]: bay for bay in ask("bays")["bays"]}

    assert list(bays) == ["other", "yard"]
    assert bays["other"]["newest_slot"] is None
    yard = bays["yard"]
    assert datetime.fromisoformat(yard["newest_slot"]) == START + 7 * SLOT
    assert (yard["blocks"], yard["cameras"], yard["slot_s"]) == (2, 12, 600)
    assert yard["cameras_failed"] == ["C_4"]


def test_only_ones_own_bays_are_listed(ask: Callable[..., Any]) -> None:
    assert [bay["bay_id"] for bay in ask("bays", "reader-of-yard")["bays"]] == ["yard"]
    assert ask("bays", "reader-of-nothing")["bays"] == []


def test_a_wrong_file_is_one_bays_fault(ask: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "bays" / "other.yaml").write_text("description: [", encoding="utf-8")

    found = ask("bays")

    assert [bay["bay_id"] for bay in found["bays"]] == ["yard"]
    assert [fault["bay_id"] for fault in found["faults"]] == ["other"]


def test_a_bay_has_the_views_of_its_cameras(ask: Callable[..., Any]) -> None:
    bay = ask("bays/yard")

    assert (bay["width"], bay["height"], len(bay["areas"]), bay["writable"]) == (150, 40, 21, True)
    view = next(camera for camera in bay["cameras"] if camera["name"] == "C_6")["view"]
    # It hangs at x = 61.7 over y = 40 and looks across the bay, 45 degrees down.
    assert min(x for x, _ in view) < 61.7 < max(x for x, _ in view)
    assert all(0 <= x <= 150 and 0 <= y <= 40 for x, y in view)
    assert ask("bays/yard", "reader-of-yard")["writable"] is False


def test_the_floor_of_then_and_now(ask: Callable[..., Any]) -> None:
    now = ask("bays/yard/floor")
    then = ask("bays/yard/floor", at=at(1))

    assert datetime.fromisoformat(now["at"]) == START + 7 * SLOT
    assert {block["area"] for block in now["blocks"]} == {"A25", "A13"}
    assert {block["area"] for block in then["blocks"]} == {"A25", "A26", "A1E"}
    assert sorted(map(tuple, then["blocks"][0]["footprint"])) == [(4, 3), (4, 9), (12, 3), (12, 9)]


def test_stays_draw_every_slots_floor(ask: Callable[..., Any]) -> None:
    stays = ask("bays/yard/stays", **DAY)["stays"]

    for number in range(8):
        moment = START + number * SLOT
        floor = ask("bays/yard/floor", at=moment.isoformat())["blocks"]
        lasting = [
            stay
            for stay in stays
            if datetime.fromisoformat(stay["since"]) <= moment
            and (stay["until"] is None or datetime.fromisoformat(stay["until"]) > moment)
        ]
        assert {(one["track_id"], one["area"]) for one in lasting} == {(one["track_id"], one["area"]) for one in floor}


def test_stays_of_another_day_are_none(ask: Callable[..., Any]) -> None:
    assert ask("bays/yard/stays", start="2025-06-01T00:00:00Z", end="2025-06-02T00:00:00Z")["stays"] == []


def test_stays_end_with_their_period(ask: Callable[..., Any]) -> None:
    """A stay that begins with the period's end is none of it; one that ends with its begin neither."""
    first = ask("bays/yard/stays", start=at(0), end=at(4))["stays"]
    second = ask("bays/yard/stays", start=at(4), end=at(8))["stays"]

    assert "A13" not in {stay["area"] for stay in first}
    assert "A26" not in {stay["area"] for stay in second}


def test_tracks_and_one_track(ask: Callable[..., Any]) -> None:
    tracks = ask("bays/yard/tracks", **DAY)["tracks"]
    mover = next(track for track in tracks if track["area"] == "A13")

    stays = ask(f"bays/yard/tracks/{mover['track_id']}")["stays"]

    assert [stay["area"] for stay in stays] == ["A26", "A13"]
    assert len(tracks) == 3


def test_events_in_pages(ask: Callable[..., Any]) -> None:
    whole = ask("bays/yard/events", **DAY)
    kinds = [event["kind"] for event in whole["events"]]
    assert "moved" in kinds
    assert "exited" in kinds
    assert whole["next_cursor"] is None

    pages, cursor = [], None
    while True:
        part = ask("bays/yard/events", limit=1, **DAY, **({"cursor": cursor} if cursor else {}))
        pages += part["events"]
        cursor = part["next_cursor"]
        if cursor is None:
            break

    assert pages == whole["events"]
    moved = ask("bays/yard/events", kind="moved", **DAY)["events"]
    assert [(event["from_area"], event["to_area"]) for event in moved] == [("A26", "A13")]
    assert ask("bays/yard/events", area="A13", **DAY)["events"] == moved


def test_a_simulated_day_has_its_own_time(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its newest slot is now: the floor is not old, and only what lies within the day can be missing."""
    monkeypatch.setenv("CLOCK", "slot")

    bay = ask("bays/yard")
    (summary,) = [one for one in ask("bays")["bays"] if one["bay_id"] == "yard"]
    checks = {one["name"]: one["state"] for one in ask("bays/yard/health")["checks"]}
    newest = datetime.fromisoformat(bay["newest_slot"])
    gaps = ask("bays/yard/gaps", start=(newest - 9 * SLOT).isoformat(), end=(newest + 9 * SLOT).isoformat())["gaps"]

    assert bay["simulated"]
    assert summary["age_s"] == SLOT.total_seconds()
    assert checks["floor"] == "ok"
    assert all(datetime.fromisoformat(gap["slot"]) <= newest for gap in gaps)


def test_nothing_was_missed_before_the_first_slot(ask: Callable[..., Any]) -> None:
    gaps = ask("bays/yard/gaps", start=at(-144), end=at(10))["gaps"]

    assert gaps
    assert all(datetime.fromisoformat(gap["slot"]) >= START for gap in gaps)


def test_gaps_say_why(ask: Callable[..., Any]) -> None:
    gaps = ask("bays/yard/gaps", start=at(6), end=at(10))["gaps"]

    assert [(gap["outcome"], gap["reason"]) for gap in gaps] == [
        ("skipped", "12 frames are dark"),
        ("not run", gaps[1]["reason"]),
    ]


def test_slots_that_have_not_begun_are_not_missing(ask: Callable[..., Any]) -> None:
    now = datetime.now(UTC)

    gaps = ask("bays/yard/gaps", start=(now - 3 * SLOT).isoformat(), end=(now + 9 * SLOT).isoformat())["gaps"]

    assert 1 <= len(gaps) <= 2
    assert all(datetime.fromisoformat(gap["slot"]) < now - SLOT for gap in gaps)


def test_cameras_know_since_when_they_fail(ask: Callable[..., Any]) -> None:
    cameras = {one["name"]: one for one in ask("bays/yard/cameras", **DAY)["cameras"]}

    assert cameras["C_4"]["down"]
    assert cameras["C_4"]["reason"] == "timed out"
    assert datetime.fromisoformat(cameras["C_4"]["failing_since"]) == START + 5 * SLOT
    assert not cameras["C_2"]["down"]
    assert (cameras["C_2"]["frames"], cameras["D_11"]["frames"]) == (8, 0)


def test_floor_that_nobody_saw(ask: Callable[..., Any]) -> None:
    seen = ask("bays/yard/unseen", slot=at(2))
    gone = ask("bays/yard/unseen", slot=at(30))

    assert sorted(map(tuple, seen["unseen"][0][0])) == [(100, 0), (100, 10), (110, 0), (110, 10)]
    assert (gone["known"], gone["unseen"]) == (False, [])
    assert gone["reason"]


def test_the_same_answer_is_sent_once(api: Any, token: Callable[[str], dict[str, str]]) -> None:
    address, login = f"/api/v1/bays/yard/stays?start={DAY['start']}&end={DAY['end']}", token("boss")
    first = api.get(address, headers=login)

    again = api.get(address, headers={**login, "If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "private, no-cache"


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("bays/yard/stays", {"start": at(2), "end": at(1)}),
        ("bays/yard/stays", {"start": "2025-01-01T00:00:00Z", "end": "2025-03-01T00:00:00Z"}),
        ("bays/yard/stays", {"start": "2025-07-01", "end": at(1)}),
        ("bays/yard/floor", {"at": "0001-01-01T00:00:00+14:00"}),
        ("bays/yard/floor", {"at": "NaN"}),
        ("bays/yard/events", {**DAY, "cursor": "nonsense"}),
        ("bays/yard/events", {**DAY, "cursor": "WzFd"}),
        ("bays/yard/events", {**DAY, "limit": "0"}),
        ("bays/yard/tracks/..%2F..%2Fetc", {}),
        ("bays/UPPER/floor", {}),
    ],
)
def test_bad_input_is_refused_by_name(
    api: Any, token: Callable[[str], dict[str, str]], path: str, query: dict[str, str]
) -> None:
    answer = api.get(f"/api/v1/{path}", headers=token("boss"), params=query)

    assert answer.status_code in (404, 422)
    assert answer.json()["detail"]


def test_unknown_things_are_not_found(api: Any, token: Callable[[str], dict[str, str]]) -> None:
    assert api.get("/api/v1/bays/nowhere/floor", headers=token("boss")).status_code == 404
    assert api.get("/api/v1/bays/yard/tracks/yard-999999", headers=token("boss")).status_code == 404
    assert api.get("/api/v1/bays/other/floor", headers=token("boss")).status_code == 404


def test_a_history_that_cannot_be_reached_is_a_503(
    api: Any, token: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    from dashboard.api.history import history

    history.cache_clear()
    (tmp_path / "data" / "history.db").write_bytes(b"no database at all" * 100)

    answer = api.get("/api/v1/bays/yard/floor", headers=token("boss"))

    assert answer.status_code == 503
    assert "history" in answer.json()["detail"]
