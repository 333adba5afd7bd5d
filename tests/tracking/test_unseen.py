"""Blocks that are moved to floor that no camera sees, and blocks that are first seen when their floor is."""

import numpy as np
import pytest
import shapely
from shapely import MultiPolygon

from tracking import EventKind, TrackerParameters, TrackStatus, replay
from tracking.unseen import Floor, OutOfSight

DARK = shapely.box(97, 0, 147, 40)  # a third of the bay


@pytest.fixture
def others(block):
    return [
        block("A13", 51, 10, length=12, width=9, height=0.8, class_name="panel"),
        block("A11", 36, 30, length=10, width=8, height=3),
        block("A17", 52, 30, length=6, width=6, height=7),
    ]


@pytest.fixture
def lifted(block):
    """The block that goes, 9 by 7 by 5 metres: lifted("A14", 68, 10)."""
    return lambda area, x, y: block(area, x, y, length=9, width=7, height=5, class_name="HP_block")


@pytest.fixture
def follow(bay, fused):
    """follow((slots, blocks, unseen floor), ...): the results of so many slots of each, one after the other."""

    def made(*parts, parameters=None):
        worlds = [(blocks, unseen) for count, blocks, unseen in parts for _ in range(count)]
        plans = [fused(n, blocks, unseen=unseen) for n, (blocks, unseen) in enumerate(worlds)]
        changed = bay.model_copy(update={"tracking": parameters}) if parameters else bay
        return replay(changed, None, plans)

    return made


def told(history, *kinds):
    return [event for result in history[1:] for event in result.events if not kinds or event.kind in kinds]


def number(slot, fused):
    return None if slot is None else round((slot - fused(0, []).slot).total_seconds() / 600)


class TestMovedOutOfSight:
    def test_is_no_exit_while_that_is_likely_enough(self, follow, others, lifted):
        block = lifted("A14", 68, 10)
        history = follow((4, [block, *others], None), (2, [block, *others], DARK), (20, others, DARK))
        assert told(history) == []
        (gone,) = [track for track in history[-1].tracks if track.footprint.covers(shapely.Point(68, 10))]
        assert gone.status is TrackStatus.LEAVING

    def test_has_moved_once_it_is_seen_and_that_when_its_place_became_empty(self, follow, fused, others, lifted):
        before, after = lifted("A14", 68, 10), lifted("A1B", 124, 30)
        history = follow(
            (4, [before, *others], None),
            (2, [before, *others], DARK),
            (20, others, DARK),
            (4, [after, *others], None),
        )
        (event,) = told(history)
        assert (event.kind, event.from_area, event.to_area) == (EventKind.MOVED, "A14", "A1B")
        assert (number(event.after, fused), number(event.time, fused)) == (5, 6)
        (track,) = [track for track in history[-1].tracks if track.track_id == event.track_id]
        assert track.standing_since == event.time

    def test_has_left_once_all_floor_is_seen_without_it(self, follow, fused, others, lifted):
        block = lifted("A14", 68, 10)
        history = follow((4, [block, *others], None), (20, [*others], DARK), (4, others, None))
        (event,) = told(history)
        assert (event.kind, number(event.time, fused), number(event.after, fused)) == (EventKind.EXITED, 4, 3)
        assert event.batch_id == history[24].batch_id
        assert event.alternatives == ()

    def test_has_left_after_some_hours_with_what_else_may_be(self, follow, fused, others, lifted):
        block = lifted("A14", 68, 10)
        patience = TrackerParameters(unseen_hours=4, exit_slots=2, certain_gone=0.9)
        history = follow(
            (4, [block, *others], None),
            (2, [block, *others], DARK),
            (30, others, DARK),
            parameters=patience,
        )
        (event,) = told(history)
        assert (event.kind, number(event.time, fused)) == (EventKind.EXITED, 6)
        assert event.batch_id == history[4 + 6 * 4 + 1].batch_id
        assert dict(event.alternatives)["unseen"] == pytest.approx(1 - event.probability, abs=0.02)
        assert 0.1 < dict(event.alternatives)["unseen"] < 0.5

    def test_floor_that_was_never_seen_holds_up_nothing(self, follow, fused, others, lifted):
        block = lifted("A14", 68, 10)
        blind = follow((6, [block, *others], DARK), (6, others, DARK))
        seen = follow((6, [block, *others], None), (6, others, None))
        assert [(one.kind, one.time, one.batch_id) for one in told(blind)] == [
            (one.kind, one.time, one.batch_id) for one in told(seen)
        ]

    def test_an_exit_that_was_none_is_taken_back(self, follow, fused, others, lifted):
        before, after = lifted("A14", 68, 10), lifted("A1B", 124, 30)
        hasty = TrackerParameters(unseen_hours=0, exit_slots=2, certain_gone=0.9)
        history = follow(
            (4, [before, *others], None),
            (2, [before, *others], DARK),
            (20, others, DARK),
            (4, [after, *others], None),
            parameters=hasty,
        )
        assert [(event.kind, number(event.time, fused)) for event in told(history)] == [
            (EventKind.EXITED, 6),
            (EventKind.CORRECTED, 6),
            (EventKind.MOVED, 6),
        ]
        assert len({event.track_id for event in told(history)}) == 1


class TestFirstSeen:
    def test_a_block_came_since_its_floor_was_last_seen(self, follow, fused, others, lifted):
        new = lifted("A1B", 124, 30)
        history = follow((4, others, None), (12, others, DARK), (4, [new, *others], None))
        (event,) = told(history)
        assert (event.kind, event.to_area) == (EventKind.APPEARED, "A1B")
        assert (number(event.after, fused), number(event.time, fused)) == (3, 16)

    def test_on_floor_that_was_never_seen_it_stood_from_the_beginning(self, follow, fused, others, lifted):
        history = follow((4, others, DARK), (6, [lifted("A1B", 124, 30), *others], None))
        (event,) = told(history)
        assert (event.kind, number(event.time, fused)) == (EventKind.INITIAL, 0)


class TestFloor:
    @pytest.fixture
    def floor(self, bay):
        return Floor(bay.layout)

    def stretches(self, floor, fused, *shapes):
        unseen, last = (), None
        for n, shape in enumerate(shapes):
            slot = fused(n, []).slot
            unseen = floor.followed(unseen, MultiPolygon([shape] if shape else []), slot, last)
            last = slot
        return unseen

    def test_each_cell_is_unseen_since_its_own_slot(self, floor, fused):
        first, second = shapely.box(0, 0, 10, 10), shapely.box(5, 0, 20, 10)
        unseen = self.stretches(floor, fused, None, first, second)
        assert [(number(one.last_seen, fused), number(one.since, fused)) for one in unseen] == [(0, 1), (1, 2)]
        assert [floor.of(one).sum() for one in unseen] == [50, 100]

    def test_what_is_seen_again_is_forgotten(self, floor, fused):
        assert self.stretches(floor, fused, None, DARK, None) == ()

    def test_it_is_bounded(self, floor, fused):
        unseen = self.stretches(floor, fused, *(shapely.box(0, 0, 3 * n, 10) if n else None for n in range(30)))
        assert len(unseen) == 8
        assert sum(floor.of(one).sum() for one in unseen) == 3 * 29 * 10
        assert [one.since for one in unseen] == sorted(one.since for one in unseen)

    def test_a_bay_of_another_size_forgets_it(self, floor, fused, bay):
        unseen = self.stretches(floor, fused, None, DARK)
        smaller = Floor(bay.layout.model_copy(update={"width": 40.0, "height": 20.0}))
        assert not smaller.of(unseen[0]).any()

    def test_the_share_of_places_out_of_sight(self, bay, floor, fused, follow, lifted, others):
        """Counted place by place, where the block lies along x and no other stands on it."""
        (track,) = follow((1, [lifted("A14", 68, 10)], None))[0].tracks
        unseen = self.stretches(floor, fused, None, DARK)
        standing = [block.footprint for block in others]
        free = hidden = 0
        taken, dark, home = floor.cells(shapely.union_all(standing)), floor.cells(DARK), floor.tracked()
        for row in range(floor.shape[0] - 6):
            for column in range(floor.shape[1] - 8):
                at = np.s_[row : row + 7, column : column + 9]
                if home[row + 3, column + 4] and not taken[at].any():
                    free += 1
                    hidden += dark[at].sum() > 0.5 * 63
        sight = OutOfSight(floor, unseen, standing, 0.5)
        assert sight.share(track, fused(1, []).slot) == pytest.approx(hidden / free)
        assert sight.share(track, fused(0, []).slot) == 0  # all floor was seen without it
        assert sight.share(track, fused(9, []).slot, since=fused(2, []).slot) == 0
