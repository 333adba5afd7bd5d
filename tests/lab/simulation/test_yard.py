"""The simulated world: the same for everyone, physically possible, and true to its events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise

import pytest
from shapely import Polygon, box

from bay_observation.errors import SimulationError
from bays import BayConfig, load_bay
from lab.simulation.objects import BLOCK_CLASSES, JIG_CLASSES, STAGES
from lab.simulation.placement import DIMENSIONS, MIN_CLEARANCE_M
from lab.simulation.truth import truth_at, work_events
from lab.simulation.yard import DEFAULT_START, Yard, YardState, blocks_for

pytestmark = pytest.mark.slow(1)


@pytest.fixture(scope="module")
def bay() -> BayConfig:
    return load_bay("demo_bay")


@pytest.fixture(scope="module")
def yard(bay: BayConfig) -> Yard:
    return Yard(bay, seed=5)


def hours(yard: Yard, count: int, step: float = 1.0) -> list[YardState]:
    return [yard.at(yard.start + timedelta(hours=step * number)) for number in range(count)]


def test_same_arguments_give_the_same_world(bay: BayConfig, yard: Yard) -> None:
    later = yard.start + timedelta(days=2, hours=3, minutes=7)
    forward, backward = Yard(bay, seed=5), Yard(bay, seed=5)
    # Asked in another order, the history is made in other steps and must be the same.
    early_first = [forward.at(yard.start), forward.at(yard.start + timedelta(hours=5)), forward.at(later)]
    late_first = [backward.at(later), backward.at(yard.start + timedelta(hours=5)), backward.at(yard.start)]
    assert early_first == late_first[::-1]
    assert forward.events(yard.start, later) == backward.events(yard.start, later)


def test_another_seed_gives_another_world(bay: BayConfig, yard: Yard) -> None:
    assert Yard(bay, seed=6).at(yard.start).blocks != yard.at(yard.start).blocks


def test_world_is_pinned_across_machines(bay: BayConfig) -> None:
    block = Yard(bay, seed=0).at(DEFAULT_START + timedelta(days=2)).blocks[-1]
    assert (block.block_id, block.class_name, block.stage) == ("B0046", "block", "unit_assembly")
    assert (block.width_m, block.depth_m, block.height_m) == (9.4, 11.0, 4.59)
    assert (block.center, block.yaw_deg, block.area) == ((34.968, 34.829), 90.22, "A11")


@pytest.mark.parametrize("count", [15, 24, 30, 40])
def test_as_many_blocks_as_asked_for(bay: BayConfig, count: int) -> None:
    assert len(Yard(bay, seed=1, blocks=count).at(DEFAULT_START).blocks) == count


def test_a_bare_hall_holds_nothing_but_blocks(bay: BayConfig) -> None:
    bare, full = (Yard(bay, 3, blocks=4, is_bare=is_bare).at(DEFAULT_START) for is_bare in (True, False))
    assert (bare.blocks, bare.light) == (full.blocks, full.light)
    assert (bare.jigs, bare.equipment, bare.cranes, bare.people) == ((), (), (), ())
    assert all((full.jigs, full.equipment, full.cranes, full.people))


def test_blocks_stand_apart(yard: Yard) -> None:
    for state in hours(yard, 30):
        for one, other in combinations(state.blocks, 2):
            assert one.footprint.distance(other.footprint) >= MIN_CLEARANCE_M, (state.time, one, other)


def test_blocks_stand_inside_their_working_area(bay: BayConfig, yard: Yard) -> None:
    for state in hours(yard, 30):
        for block in state.blocks:
            assert block.area is not None
            area = bay.layout.areas[block.area]
            assert area.tracked
            assert box(area.x[0], area.y[0], area.x[1], area.y[1]).contains(block.footprint)
            holding = [
                other
                for other in bay.layout.areas.values()
                if box(other.x[0], other.y[0], other.x[1], other.y[1]).contains(block.footprint)
            ]
            smallest = min(holding, key=lambda other: (other.x[1] - other.x[0]) * (other.y[1] - other.y[0]))
            assert smallest is area


def test_blocks_have_believable_sizes(yard: Yard) -> None:
    seen = {block.block_id: block for state in hours(yard, 12, step=6) for block in state.blocks}.values()
    assert {block.class_name for block in seen} == set(BLOCK_CLASSES)
    assert {block.stage for block in seen} == set(STAGES)
    for block in seen:
        for value, (low, high) in zip(
            (block.width_m, block.depth_m, block.height_m), DIMENSIONS[block.class_name], strict=True
        ):
            assert low <= value <= high


def test_states_follow_from_the_events(yard: Yard) -> None:
    """Playing the events from the start gives each hour's blocks, areas and stages."""
    since = yard.start
    known = {block.block_id: (block.area, block.stage) for block in yard.at(since).blocks}
    for state in hours(yard, 40)[1:]:
        for event in yard.events(since, state.time):
            if event.kind == "appeared":
                assert event.block_id not in known
            else:
                assert known[event.block_id] == (event.from_area, event.from_stage)
            if event.kind == "exited":
                del known[event.block_id]
            else:
                assert event.to_stage is not None
                known[event.block_id] = (event.to_area, event.to_stage)
            if event.kind == "moved":
                assert event.from_area != event.to_area
            if event.kind == "stage_changed":
                assert STAGES.index(event.to_stage) == STAGES.index(event.from_stage) + 1
        assert known == {block.block_id: (block.area, block.stage) for block in state.blocks}
        since = state.time


def test_a_state_changes_at_the_instant_of_its_event(yard: Yard) -> None:
    event = next(e for e in yard.events(yard.start, yard.start + timedelta(hours=12)) if e.kind == "moved")
    before, after = yard.at(event.time - timedelta(microseconds=1)), yard.at(event.time)
    assert before.block(event.block_id).area == event.from_area
    assert after.block(event.block_id).area == event.to_area


def test_no_event_falls_on_a_slot(yard: Yard) -> None:
    for event in yard.events(yard.start, yard.start + timedelta(days=2)):
        assert 60 <= event.time.timestamp() % 600 <= 540


def test_a_working_day_is_lively_and_the_night_calm(bay: BayConfig) -> None:
    # The start is nine in the morning in Seoul.
    kinds = dict.fromkeys(("appeared", "moved", "stage_changed", "exited"), 0)
    at_night = 0
    for seed in range(3):
        yard = Yard(bay, seed=seed)
        for event in yard.events(yard.start, yard.start + timedelta(hours=8)):
            kinds[event.kind] += 1
        at_night += len(yard.events(yard.start + timedelta(hours=10), yard.start + timedelta(hours=22)))
    for kind, count in kinds.items():
        assert 0.6 <= count / 24 <= 2.2, kind
    assert at_night / 36 < 0.5


def test_activity_scales_the_events(bay: BayConfig) -> None:
    until = DEFAULT_START + timedelta(hours=8)
    still = Yard(bay, activity=0.0)
    assert still.events(DEFAULT_START, until) == []
    calm, busy = (len(Yard(bay, activity=factor).events(DEFAULT_START, until)) for factor in (0.5, 2.0))
    assert busy > 2 * calm


def test_population_stays_near_the_mean_for_weeks(bay: BayConfig) -> None:
    yard = Yard(bay, seed=2, blocks=20)
    count, counts = 20, set()
    for event in yard.events(yard.start, yard.start + timedelta(days=14)):
        count += {"appeared": 1, "exited": -1}.get(event.kind, 0)
        counts.add(count)
    assert min(counts) >= 16
    assert max(counts) <= 24
    assert len(counts) > 2


def test_a_place_is_not_taken_again_within_half_an_hour(yard: Yard) -> None:
    end = yard.start + timedelta(days=1)
    left: list[tuple[datetime, Polygon]] = []
    for event in yard.events(yard.start, end):
        if event.kind in ("appeared", "moved"):
            place = yard.at(event.time).block(event.block_id).footprint
            recent = [old for time, old in left if event.time - time < timedelta(minutes=30)]
            assert not any(place.intersects(old) for old in recent)
        if event.kind in ("exited", "moved"):
            before = yard.at(event.time - timedelta(microseconds=1))
            left.append((event.time, before.block(event.block_id).footprint))


def test_things_around_the_blocks(yard: Yard) -> None:
    state = yard.at(yard.start + timedelta(hours=2))
    assert {jig.class_name for jig in state.jigs} <= set(JIG_CLASSES)
    for jig in state.jigs:
        outline = Polygon(jig.ring)
        if jig.block_id is None:
            assert jig.class_name.endswith("_empty")
            assert not any(outline.intersects(block.footprint) for block in state.blocks)
        else:
            assert outline.contains(state.block(jig.block_id).footprint)
    worked_on = [item for item in state.equipment if item.block_id is not None]
    assert worked_on
    assert len(worked_on) < len(state.equipment)
    for item in worked_on:
        assert item.block_id is not None
        block = state.block(item.block_id)
        assert block.footprint.contains(Polygon(item.ring))
        assert item.base_m == block.height_m
    for item in state.equipment:
        if item.block_id is None:
            assert item.base_m == 0
            assert not any(Polygon(item.ring).intersects(block.footprint) for block in state.blocks)
    for one, other in combinations([*state.equipment, *state.people], 2):
        assert not Polygon(one.ring).intersects(Polygon(other.ring))
    assert len(state.cranes) == 2


def test_light_follows_the_day(yard: Yard) -> None:
    noon, night = yard.at(yard.start + timedelta(hours=3)).light, yard.at(yard.start + timedelta(hours=15)).light
    assert noon.sun > night.sun
    assert night.lamps == 1.0 > noon.lamps
    assert night.ambient > 0.2


def test_a_bay_without_areas_uses_its_floor(bay: BayConfig) -> None:
    bare = bay.model_copy(update={"layout": bay.layout.model_copy(update={"areas": {}})})
    state = Yard(bare, blocks=10).at(DEFAULT_START)
    assert len(state.blocks) == 10
    assert {block.area for block in state.blocks} == {None}


def test_too_many_blocks_say_so(bay: BayConfig) -> None:
    with pytest.raises(SimulationError, match="of 200 blocks fit"):
        Yard(bay, blocks=200)


def test_times_before_the_start_and_naive_times_are_refused(yard: Yard) -> None:
    with pytest.raises(SimulationError, match="history starts at"):
        yard.at(yard.start - timedelta(seconds=1))
    with pytest.raises(SimulationError, match="no time zone"):
        yard.at(datetime(2025, 7, 3))
    with pytest.raises(SimulationError, match="no time zone"):
        Yard(yard.bay, start=datetime(2025, 7, 2))
    with pytest.raises(SimulationError, match="must not be negative"):
        Yard(yard.bay, seed=-1)


def test_a_moment_is_one_whatever_its_zone(yard: Yard) -> None:
    moment = datetime(2025, 7, 2, 3, 20, tzinfo=UTC)
    assert yard.at(moment.astimezone(yard.bay.zone)) is yard.at(moment)
    assert replace(yard.at(moment), people=()).people == ()


def test_work_events_are_what_the_equipment_shows(yard: Yard) -> None:
    slots = [yard.start + number * timedelta(minutes=10) for number in range(1, 13)]
    events = work_events(yard, slots[0], slots[-1])
    # A block that came since the slot before has nothing to differ from.
    stood = {slot: {block.block_id for block in yard.at(slot - timedelta(minutes=10)).blocks} for slot in slots}
    told = {(event.time, event.block_id, event.kind) for event in events if event.block_id in stood[event.time]}
    shown = set()
    for earlier, later in pairwise(slots):
        before = {block.block_id: bool(block.work) for block in truth_at(yard, earlier)}
        for block in truth_at(yard, later):
            if before.get(block.block_id, bool(block.work)) != bool(block.work):
                shown.add((later, block.block_id, "work_started" if block.work else "work_stopped"))
    assert told == shown
    assert {kind for _, _, kind in told} == {"work_started", "work_stopped"}


def test_the_truth_counts_the_equipment_of_each_block(yard: Yard) -> None:
    state = yard.at(yard.start + timedelta(hours=2))
    counted = sum(sum(block.work.values()) for block in truth_at(yard, state.time))
    assert counted == sum(item.block_id is not None for item in state.equipment) > 0


def test_a_smaller_hall_has_fewer_blocks():
    demo = load_bay("demo_bay")
    assert blocks_for(demo) == 24
    areas = {name: area for name, area in demo.layout.areas.items() if area.x[1] <= 45}
    small = demo.model_copy(update={"layout": demo.layout.model_copy(update={"width": 45.0, "areas": areas})})
    assert 3 <= blocks_for(small) <= 8
    yard = Yard(small, seed=3, blocks=blocks_for(small))
    assert len(yard.at(yard.start + timedelta(hours=2)).blocks) >= 1
