"""The demo's slots lie before now, and show the hall of their own moments."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from rich.console import Console

from bays import BayConfig, load_bay
from lab.demo.__main__ import _go_on
from lab.demo.hall import SLOT_LENGTH, DemoSlots
from lab.demo.report import DemoDay
from lab.simulation.truth import truth_at
from lab.simulation.yard import Yard

NOW = datetime(2026, 3, 2, 9, 14, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def bay() -> BayConfig:
    return load_bay("demo_bay")


@pytest.fixture
def demo(bay: BayConfig) -> DemoSlots:
    return DemoSlots.before(NOW, bay, 6)


def test_slots_end_just_before_now(demo: DemoSlots) -> None:
    assert demo.slots[-1] == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    assert {later - earlier for earlier, later in zip(demo.slots, demo.slots[1:], strict=False)} == {SLOT_LENGTH}
    assert len(demo.slots) == 6


def test_frames_of_the_demos_slots_are_none_of_that_time(demo: DemoSlots, bay: BayConfig) -> None:
    """The tracker would take the time of frames that come soon after their slot: theirs come within two minutes."""
    assert not any(demo.is_live(slot, bay, NOW) for slot in demo.slots)


def test_a_slot_after_them_is_live_while_it_is_young(demo: DemoSlots, bay: BayConfig) -> None:
    following = demo.slots[-1] + SLOT_LENGTH
    assert demo.is_live(following, bay, NOW)
    assert not demo.is_live(following, bay, NOW + timedelta(minutes=20))


def test_a_bay_with_a_long_window_has_its_slots_farther_back(bay: BayConfig) -> None:
    slow = bay.model_copy(update={"capture_window": 1500.0})
    demo = DemoSlots.before(NOW, slow, 2)
    assert demo.slots[-1] == datetime(2026, 3, 2, 8, 20, tzinfo=UTC)
    assert not any(demo.is_live(slot, slow, NOW) for slot in demo.slots)


def test_the_hall_begins_at_ten_in_the_bays_zone(demo: DemoSlots, bay: BayConfig) -> None:
    assert demo.moment(demo.slots[0]) == datetime(2025, 7, 2, 10, 0, tzinfo=bay.zone)
    assert demo.moment(NOW) - demo.moment(demo.slots[-1]) == NOW - demo.slots[-1]


@pytest.mark.slow(0.5)
def test_truth_is_of_the_halls_moment_and_events_of_the_slots_time(
    demo: DemoSlots, bay: BayConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = Yard(bay, seed=13)
    day = DemoDay(bay, yard, demo, {}, {}, {}, {})
    given: list[object] = []
    monkeypatch.setattr("lab.demo.report.compare_day", lambda *parts: given.extend(parts) or SimpleNamespace())

    day.compare()

    truth, happened = given[0], given[3]
    last = demo.slots[-1]
    assert [block.block_id for block in truth[last]] == [
        block.block_id for block in truth_at(yard, datetime(2025, 7, 2, 10, 50, tzinfo=bay.zone))
    ]
    assert happened
    assert all(demo.slots[0] <= event.time <= last for event in happened)


class _Cameras:
    """Writes down where the yard is moved."""

    def __init__(self) -> None:
        self.moved: list[tuple[datetime, bool]] = []

    def set_time(self, moment: datetime, *, running: bool = False) -> None:
        self.moved.append((moment, running))


@pytest.mark.parametrize("late", [False, True])
def test_the_hall_goes_on_with_the_clock_once_it_has_caught_up(
    late: bool, bay: BayConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = datetime.now(UTC)
    demo, cameras = DemoSlots.before(began - timedelta(minutes=20 if late else 0), bay, 2), _Cameras()
    sent: list[datetime] = []

    def send(_airflow: object, _bay_id: str, slot: datetime, _say: object) -> None:
        sent.append(slot)
        raise KeyboardInterrupt  # as Ctrl-C does

    monkeypatch.setattr("lab.demo.day.send_slot", send)
    with pytest.raises(KeyboardInterrupt):
        _go_on(SimpleNamespace(), cameras, bay, demo, Console())  # type: ignore[arg-type]

    (slot,), ((moment, running),) = sent, cameras.moved
    assert slot == demo.slots[-1] + SLOT_LENGTH
    assert running is not late
    if late:
        assert moment == demo.moment(slot)
    else:
        assert demo.moment(began) <= moment <= demo.moment(datetime.now(UTC))
