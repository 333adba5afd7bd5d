"""Times as a person writes them, and as batch ids hold them: none leaves the calendar in another zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bay_observation.errors import ConfigError
from bays import batch_id, slot_of
from bays.zones import written_time

SEOUL = ZoneInfo("Asia/Seoul")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-07-02 16:10", datetime(2025, 7, 2, 7, 10, tzinfo=UTC)),
        ("2025-07-02T07:10:00Z", datetime(2025, 7, 2, 7, 10, tzinfo=UTC)),
        ("2025-07-02T02:10-05:00", datetime(2025, 7, 2, 7, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_of_the_zone_unless_it_has_an_offset(text, time):
    assert written_time(text, SEOUL) == time


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59:59-14:00", "1999-12-31 23:59", "2100-01-01"])
def test_a_time_of_another_century_is_refused(text):
    with pytest.raises(ConfigError, match="write a time between 2000 and 2100"):
        written_time(text, SEOUL)


@pytest.mark.parametrize("text", ["", "soon", "99999999999", "2025-13-01", "\udcff", "2025-07-02 16:10 Asia/Seoul"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigError, match="is not a time"):
        written_time(text, SEOUL)


@pytest.mark.parametrize("slot", ["00010101-000000", "99991231-235959"])
def test_no_batch_lies_at_the_calendars_end(slot):
    with pytest.raises(ConfigError, match="the calendar ends there"):
        slot_of(f"yard_{slot}")
    with pytest.raises(ConfigError, match="the calendar ends there"):
        batch_id("yard", datetime.strptime(slot, "%Y%m%d-%H%M%S").replace(tzinfo=SEOUL))
