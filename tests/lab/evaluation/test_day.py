import pytest

from lab.evaluation import Verdict, compare_day
from tracking import EventKind, replay

HAPPENED = (EventKind.APPEARED, EventKind.MOVED, EventKind.STAGE_CHANGED, EventKind.EXITED)


@pytest.fixture
def run(bay, slot, plan, fused, true, happened):
    """Eight slots: a stands, b moves before slot 3, c comes before 2, d leaves before 5, e's stage changes before 4."""

    def make(blind=(), skip=(), extra=()):
        truth, plans = {}, []
        for n in range(8):
            blocks = [true("a", 3), true("b", 30 if n < 3 else 100, area="A12" if n < 3 else "A1E")]
            if n >= 2:
                blocks.append(true("c", 46, area="A13", height_m=6))
            if n < 5:
                blocks.append(true("d", 88, area="A1D", height_m=1, class_name="panel"))
            blocks.append(true("e", 134, area="A1G", height_m=8, stage="unit_assembly" if n < 4 else "pre_outfitting"))
            truth[slot(n)] = blocks
            seen = [
                fused(
                    block.footprint.bounds[0],
                    height_m=block.height_m,
                    area=block.area,
                    stage=block.stage,
                    class_name=block.class_name,
                )
                for block in blocks
                if (block.block_id, n) not in blind
            ]
            if n not in skip:
                plans.append(plan(n, seen))
        events = [
            happened("appeared", "c", 1.4, None, "A13"),
            happened("moved", "b", 2.5, "A12", "A1E"),
            happened("stage_changed", "e", 3.5, "A1G", "A1G"),
            happened("exited", "d", 4.6, "A1D", None),
            *extra,
        ]
        tracking = {slot(n): result for n, result in zip(_numbers(skip), replay(bay, None, plans), strict=True)}
        return compare_day(truth, {one.slot: one for one in plans}, tracking, events, bay)

    return make


def _numbers(skip):
    return [n for n in range(8) if n not in skip]


def test_a_perfect_day(run):
    report = run()
    counts = {kind: (s.found, s.missed, s.false, s.undecided) for kind, s in report.events.items()}
    assert counts == dict.fromkeys(EventKind, (0, 0, 0, 0)) | dict.fromkeys(HAPPENED, (1, 0, 0, 0))
    assert report.tracks.idf1 == pytest.approx(2 * 33 / (34 + 34), abs=0.02)  # c is tentative in its first slot
    assert report.tracks.switches == ()
    assert (report.floor.precision, report.floor.recall) == (1, 1)
    assert report.not_found() == []
    assert report.missing_slots == ()
    assert all(comparison.happened == comparison.reported for comparison in report.comparisons)


def test_the_table_of_tracks_names_a_track_for_every_slot(run):
    tracks = run().tracks_of_blocks()
    assert len(set(tracks["b"])) == 1
    assert len(tracks["b"]) == 8
    assert tracks["c"][0] is None  # not confirmed in its first slot
    assert len(set(tracks["c"][1:])) == 1
    assert len(tracks["d"]) == 5


def test_a_missed_block_is_named(run):
    report = run(blind={("a", 3)})
    assert [(s.truth.block_id, s.slot.minute) for s in report.not_found()] == [("a", 30)]
    assert report.tracks.switches == ()
    assert report.floor.recall == pytest.approx(1 - 1 / report.floor.truth_count)


def test_a_false_exit_is_counted(run):
    report = run(blind={("a", n) for n in (4, 5, 6)})
    assert report.events[EventKind.EXITED].false == 1  # though it is taken back once the block is found again
    assert report.events[EventKind.APPEARED].false == 0
    assert report.events[EventKind.EXITED].found == 1
    assert report.tracks.switches == ()  # found again at its place: the same track


def test_an_event_that_was_not_seen_is_missed(run):
    report = run(blind={("c", n) for n in range(8)})
    assert report.events[EventKind.APPEARED].missed == 1
    assert report.events[EventKind.APPEARED].recall == 0
    (comparison,) = [c for c in report.comparisons if c.verdict is Verdict.MISSED]
    assert (comparison.block_id, comparison.track_id, comparison.reported) == ("c", None, None)


def test_an_event_of_the_last_slot_is_undecided(run):
    report = run(blind={("c", n) for n in range(7)})
    assert report.events[EventKind.APPEARED].missed == 1  # it was there since slot 2
    late = run(blind=set(), skip={3, 4, 5, 6, 7})
    assert late.events[EventKind.APPEARED].undecided == 1
    assert late.events[EventKind.APPEARED].missed == 0


def test_missing_slots_are_named_and_do_not_hurt(run, slot):
    report = run(skip={3})
    assert report.missing_slots == (slot(3),)
    assert [report.events[kind].f1 for kind in HAPPENED] == [1, 1, 1, 1]


def test_a_move_to_ignored_floor_is_an_exit(bay, slot, plan, fused, true, happened):
    def block(n):
        return true("a", 3) if n < 2 else true("a", 65, area="A18(T/O)")

    plans = [plan(n, [fused(block(n).footprint.bounds[0], area=block(n).area)]) for n in range(5)]
    report = compare_day(
        {slot(n): [block(n)] for n in range(5)},
        {one.slot: one for one in plans},
        dict(zip(map(slot, range(5)), replay(bay, None, plans), strict=True)),
        [happened("moved", "a", 1.5, "A25", "A18(T/O)")],
        bay,
    )
    assert (report.events[EventKind.EXITED].found, report.events[EventKind.MOVED].missed) == (1, 0)
    assert len(report.sightings) == 2


def test_what_no_slot_shows_is_no_event(run, happened):
    unseen = [happened("appeared", "x", 1.2, None, "A25"), happened("exited", "x", 1.8, "A25", None)]
    report = run(extra=unseen)
    assert (report.events[EventKind.APPEARED].missed, report.events[EventKind.EXITED].missed) == (0, 0)


def test_a_ghost_that_is_tracked_is_a_false_event(bay, slot, plan, fused, true):
    plans = [plan(n, [fused(3), *([fused(60)] if n >= 1 else [])]) for n in range(4)]
    report = compare_day(
        {slot(n): [true("a", 3)] for n in range(4)},
        {one.slot: one for one in plans},
        dict(zip(map(slot, range(4)), replay(bay, None, plans), strict=True)),
        [],
        bay,
    )
    (false,) = [c for c in report.comparisons if c.verdict is Verdict.FALSE]
    assert (false.kind, false.block_id) == (EventKind.APPEARED, None)


def test_a_slot_without_truth_is_refused(slot, plan):
    with pytest.raises(ValueError, match="no truth"):
        compare_day({}, {slot(0): plan(0, [])}, {}, [])


def test_truth_outside_of_areas_is_not_asked_of_tracking(bay, slot, plan, fused, true, happened):
    outside = true("o", 3, area=None)
    one = plan(0, [fused(3, area=None)])
    (result,) = replay(bay, None, [one])
    report = compare_day({slot(0): [outside]}, {slot(0): one}, {slot(0): result}, [], bay)
    assert report.sightings == ()
    assert report.floor.recall == 1


def test_work_is_held_against_the_equipment_that_was_there(slot, plan, fused, true, happened, bay):
    """Equipment comes before slot 3 and goes before slot 6; the second change happened to nobody."""
    work = [{"welder": 1} if 3 <= n < 6 else {} for n in range(9)]
    truth = {slot(n): [true("a", work=work[n])] for n in range(9)}
    plans = {slot(n): plan(n, [fused(3.0, work=work[n])]) for n in range(9)}
    tracking = dict(zip(plans, replay(bay, None, plans.values()), strict=True))
    events = [happened("work_started", "a", 2.5), happened("work_stopped", "a", 5.5)]
    report = compare_day(truth, plans, tracking, events, bay)
    assert [report.events[kind].found for kind in (EventKind.WORK_STARTED, EventKind.WORK_STOPPED)] == [1, 1]
    report = compare_day(truth, plans, tracking, events[:1], bay)
    assert report.events[EventKind.WORK_STOPPED].false == 1
    # What the truth's own slots do not show does not count as missed.
    report = compare_day(truth, plans, tracking, [*events, happened("work_started", "a", 6.5)], bay)
    assert report.events[EventKind.WORK_STARTED].missed == 0
