"""Windows of the day, and the names that follow from a bay's id."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

import bays
from bay_observation.errors import ConfigError
from bays import DailyWindow


@pytest.mark.parametrize(
    ("window", "moment", "inside"),
    [
        ("08:30-09:20", (8, 29), False),
        ("08:30-09:20", (8, 30), True),
        ("08:30-09:20", (9, 20), True),
        ("08:30-09:20", (9, 21), False),
        ("22:00-02:00", (23, 59), True),
        ("22:00-02:00", (0, 0), True),
        ("22:00-02:00", (2, 0), True),
        ("22:00-02:00", (2, 1), False),
        ("22:00-02:00", (12, 0), False),
        ("00:00-23:59", (12, 0), True),
    ],
)
def test_a_window_holds_its_ends_and_may_cross_midnight(window: str, moment: tuple[int, int], inside: bool) -> None:
    local = datetime(2025, 7, 2, *moment, 59)
    assert DailyWindow.model_validate(window).holds(local) is inside


@pytest.mark.parametrize("text", ["", "8-9", "24:00-25:00", "08:60-09:00", "08:30", "08:30-09:20-10:00", "８:30-09:20"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no window of the day"):
        DailyWindow.model_validate(text)


def test_names() -> None:
    assert bays.dag_id("tracking", "3bay_north") == "tracking_3bay_north_dag"
    assert bays.observer_queue("3bay_north") == "obs_3bay_north"
    assert bays.processor_queue("3bay_north") == "proc_3bay_north"
    assert bays.observer_name("3bay_north") == "observer-3bay_north"
    assert bays.processor_name("3bay_north") == "processor-3bay_north"
    assert bays.onvif_connection_id("3bay_north") == "onvif_3bay_north"


def test_a_batch_is_named_by_its_slot_in_utc() -> None:
    seoul = timezone(timedelta(hours=9))
    slot = datetime(2025, 7, 3, 1, 10, tzinfo=seoul)
    name = bays.batch_id("3bay_north", slot)
    assert name == "3bay_north_20250702-161000"
    assert bays.slot_of(name) == slot
    assert bays.slot_of(name).tzinfo is UTC


def test_a_slot_without_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no time zone"):
        bays.batch_id("3bay_north", datetime(2025, 7, 2))


@pytest.mark.parametrize("text", ["", "3bay_north", "3bay_north_20250732-161000", "../x_20250702-161000"])
def test_what_is_no_batch_id_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no batch id"):
        bays.slot_of(text)


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, False),
        ({"port": 8080}, False),  # the same picture, whichever the port
        ({"channel": 2}, True),
        ({"profile": "main 2"}, True),
        ({"snapshot": "/cgi-bin/snapshot.cgi?channel=2"}, True),
        ({"rtsp": {"path": "/channel/2"}}, True),
        ({"connections": 4}, False),
        ({"channel": 1}, False),
    ],
)
def test_two_cameras_of_one_host_have_different_pictures(changes: dict[str, object], allowed: bool) -> None:
    bay = bays.load_bay("demo_bay").model_dump(by_alias=True)
    first = {"name": "N_1", "host": "127.60.0.9", "fusion": False} | ({"channel": 1} if "channel" in changes else {})
    bay |= {"cameras": [first, {"name": "N_2", "host": "127.60.0.9", "fusion": False, **changes}], "camera_quorum": 1}
    if allowed:
        assert len(bays.BayConfig.model_validate(bay).cameras) == 2
        return
    with pytest.raises(ValueError, match=r"camera host used twice: 127\.60\.0\.9"):
        bays.BayConfig.model_validate(bay)


@pytest.mark.parametrize(
    "changes", [{"channel": 0}, {"channel": "2"}, {"channel": True}, {"profile": ""}, {"snapshot_port": 0}]
)
def test_a_channel_that_is_none_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        bays.Camera.model_validate({"name": "N_1", "host": "127.60.0.9", **changes})
