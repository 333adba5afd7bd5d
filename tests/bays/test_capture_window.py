"""For how long after its slot live cameras may be asked."""

from datetime import UTC, datetime, timedelta

import pytest

from bays.capture_window import capture_window, outside_window

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "slot", "window"),
    [
        ("*/10 * * * *", SLOT, timedelta(minutes=5)),
        ("*/10 * * * *", SLOT + timedelta(minutes=3, seconds=7), timedelta(minutes=5)),  # a manual run between
        ("0 * * * *", SLOT, timedelta(minutes=30)),
        ("0,5 8 * * *", SLOT.replace(hour=8, minute=0), timedelta(minutes=2.5)),
        ("0,5 8 * * *", SLOT.replace(hour=8, minute=5), timedelta(hours=11, minutes=57.5)),
        (None, SLOT, timedelta(minutes=5)),
    ],
)
def test_it_is_half_of_the_schedules_period(make_bay, schedule, slot, window):
    assert capture_window(make_bay(schedule={"observation": schedule}), slot) == window


def test_the_bays_file_says_otherwise(make_bay):
    assert capture_window(make_bay(capture_window=90), SLOT) == timedelta(seconds=90)


def test_stored_frames_know_no_window(make_bay):
    bay = make_bay(image_provider="file", image_provider_config={"base_path": "/frames"})
    assert capture_window(bay, SLOT) is None
    assert outside_window(bay, SLOT, SLOT + timedelta(days=400)) is None


@pytest.mark.parametrize(
    ("after_s", "words"),
    [
        (-6, "before its time"),
        (-5, None),
        (0, None),
        (300, None),
        (301, "too late"),
        (86_400, "too late"),
        (-86_400, "before its time"),
    ],
)
def test_both_ends(make_bay, after_s, words):
    reason = outside_window(make_bay(), SLOT, SLOT + timedelta(seconds=after_s))
    assert (reason is None) is (words is None)
    if words:
        assert reason.startswith(words)
        assert "slot 2025-07-02 07:10:00 UTC" in reason
