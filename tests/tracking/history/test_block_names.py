"""Numbers of blocks: given, moved, taken, kept through replays, and as doubtful as the identity."""

from datetime import UTC, datetime, timedelta

import pytest

from bay_observation.errors import ConfigError, HistoryError
from tracking import Tracker
from tracking.history import BlockNames, History, ListOutcome, TrackedBatch
from tracking.history.reviews import Review, ReviewKind, add_review, reviews_of
from tracking.history.schema import events

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)
FIRST, SECOND, THIRD = (f"demo_bay-{number:06d}" for number in (1, 2, 3))


@pytest.fixture
def history(tmp_path):
    with History(f"sqlite:///{tmp_path / 'history.db'}") as made:
        yield made


@pytest.fixture(scope="module")
def floors(fused, block):
    """Two blocks in A25 and A13; the second moves to A12_S in slot 3, and comes back to nowhere; a third in A14."""

    def floor(n):
        moves = block("A13", 51, 10, 6, 5, 3) if n < 3 else block("A12_S", 36, 5, 6, 5, 3)
        return fused(n, [block("A25", 10, 10), moves, block("A14", 68, 10, 9, 7, 5)])

    return [floor(n) for n in range(8)]


def write(history, bay, floors, before=None):
    """As the ledger does; the result of the last."""
    state = before and before.state
    with history.writer(bay.bay_id) as writer:
        for floor in floors:
            result = Tracker(bay, state).update(floor)
            writer.replace(before, [TrackedBatch(result, f"{floor.batch_id:0>64}"[-64:])])
            state, before = result.state, result
    return before


@pytest.fixture
def names(history, bay, floors):
    """After three slots, nothing is named."""
    names = BlockNames(history, bay.bay_id)
    names.last = write(history, bay, floors[:3])
    return names


def test_a_block_has_its_number_with_author_and_time(names):
    begun = datetime.now(UTC)
    given = names.give(SECOND, "4412P", "kim")
    assert (given.name, given.track_id, given.given_by, given.slot) == ("4412P", SECOND, "kim", START + 2 * SLOT)
    assert begun <= given.given_at <= datetime.now(UTC)
    assert names.held() == [given] == [names.find("4412P")]
    assert names.give(SECOND, "4412P", "lee") == given


def test_a_number_stays_with_the_identity_through_a_move(names, history, bay, floors):
    names.give(SECOND, "4412P", "kim")
    write(history, bay, floors[3:], names.last)
    assert history.where(bay.bay_id, names.find("4412P").track_id).area == "A12_S"


def test_a_doubt_about_the_identity_is_one_about_the_number(names, history, bay, floors):
    names.give(SECOND, "4412P", "kim")
    write(history, bay, floors[3:], names.last)
    row = {"bay_id": bay.bay_id, "slot": START + 7 * SLOT, "time": START + 7 * SLOT}
    doubtful = f'{{"alternatives": [["{THIRD}", 0.2]], "probability": 0.75}}'
    other = f'{{"alternatives": [["{SECOND}", 0.2]], "probability": 0.8}}'
    with history.database.writing() as connection, connection.begin():
        connection.execute(events.delete())
        rows = [(7, SECOND, doubtful), (8, THIRD, other)]
        connection.execute(
            events.insert(), [row | {"number": n, "kind": "moved", "track_id": of, "details": d} for n, of, d in rows]
        )
    found = names.find("4412P")
    assert (found.probability, found.alternatives) == (0.75, ((THIRD, 0.2),))


def test_a_number_is_one_blocks_and_a_block_has_one(names, history):
    names.give(FIRST, "4412P", "kim")
    with pytest.raises(HistoryError, match=f"4412P is the number of {FIRST}"):
        names.give(SECOND, "4412P", "lee")
    names.give(SECOND, "4412P", "lee", move=True)
    names.give(SECOND, "88-B.2", "lee")
    assert [(one.name, one.track_id) for one in names.held()] == [("88-B.2", SECOND)]
    said = [(review.author, review.track_id, review.value) for review in reviews_of(history, "demo_bay")]
    assert said == [
        ("kim", FIRST, "4412P"),
        ("lee", FIRST, ""),
        ("lee", SECOND, "4412P"),
        ("lee", SECOND, "88-B.2"),
    ]


def test_a_track_that_continues_the_block_by_a_persons_word_has_its_number(names, history, bay, fused, block):
    """The page can say that two tracks are one block."""
    names.give(SECOND, "4412P", "kim")
    later = [fused(n, [block("A25", 10, 10), block("A14", 68, 10, 9, 7, 5)]) for n in range(3, 9)]
    again = [
        fused(n, [block("A25", 10, 10), block("A14", 68, 10, 9, 7, 5), block("A1C", 138, 30, 11, 9, 6)])
        for n in range(9, 13)
    ]
    write(history, bay, [*later, *again], names.last)
    (new,) = [stay.track_id for stay in history.standing(bay.bay_id) if stay.area == "A1C"]
    assert names.find("4412P").track_id == SECOND
    at = history.newest_slot(bay.bay_id)
    add_review(history, Review("r1", bay.bay_id, datetime.now(UTC), "lee", ReviewKind.SAME, new, at, value=SECOND))
    assert names.find("4412P").track_id == new


def test_a_number_is_taken_away(names):
    names.give(FIRST, "4412P", "kim")
    names.take("4412P", "kim")
    assert names.held() == []
    with pytest.raises(HistoryError, match="no block of bay demo_bay is called '4412P'"):
        names.take("4412P", "kim")
    with pytest.raises(HistoryError, match="no block of bay demo_bay is called '4412P'"):
        names.find("4412P")


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("name", ["", "-4412", "4412 P", "x" * 33, "a\nb", "4412'; --"])
def test_what_is_no_number_is_refused(names, name):
    with pytest.raises(ConfigError, match="block number"):
        names.give(FIRST, name, "kim")


def test_only_a_block_that_stands_there_is_named(names, history, bay, fused, block):
    with pytest.raises(HistoryError, match="has no track demo_bay-000099"):
        names.give("demo_bay-000099", "4412P", "kim")
    later = [fused(n, [block("A25", 10, 10), block("A14", 68, 10, 9, 7, 5)]) for n in range(3, 9)]
    write(history, bay, later, names.last)
    with pytest.raises(HistoryError, match=f"{SECOND} does not stand in bay demo_bay"):
        names.give(SECOND, "4412P", "kim")


def test_a_number_stays_with_the_block_that_was_meant_when_a_late_batch_changes_ids(history, bay, fused, block, floors):
    """A slot before the first numbers the blocks otherwise: who asks for 4412P asks for the block, not for an id."""
    write(history, bay, floors[1:3])
    names = BlockNames(history, bay.bay_id)
    meant = history.where(bay.bay_id, SECOND)
    names.give(SECOND, "4412P", "kim")
    early = fused(0, [block("A25", 3, 30, 4, 3, 2), *floors[0].blocks])
    with history.writer(bay.bay_id) as writer:
        state, batches = None, []
        for floor in (early, *floors[1:3]):
            result = Tracker(bay, state).update(floor)
            batches.append(TrackedBatch(result, f"{floor.batch_id:0>64}"[-64:]))
            state = result.state
        writer.replace(None, batches)
    found = names.find("4412P")
    assert found.track_id != SECOND
    assert history.where(bay.bay_id, found.track_id).footprint.centroid.distance(meant.footprint.centroid) < 0.1


class TestList:
    def test_a_number_goes_to_the_only_block_of_its_area(self, names, bay):
        names.give(FIRST, "11P", "kim")
        result = names.give_list(bay, "number,area\n11P,A25\n12P,A13\n13P,A1C\n", "kim")
        assert [(one.name, one.outcome, one.track_id) for one in result] == [
            ("11P", ListOutcome.KEPT, FIRST),
            ("12P", ListOutcome.NAMED, SECOND),
            ("13P", ListOutcome.EMPTY, None),
        ]
        assert names.find("12P").given_by == "kim"

    def test_nothing_is_guessed(self, names, bay):
        names.give(FIRST, "11P", "kim")
        result = names.give_list(bay, "\ufeffnumber,area\n11P,A13\n12P,A13\n13P,A13\n", "kim")
        assert [(one.outcome, one.track_id, one.candidates) for one in result] == [
            (ListOutcome.ELSEWHERE, FIRST, ()),
            (ListOutcome.AMBIGUOUS, None, (SECOND,)),
            (ListOutcome.AMBIGUOUS, None, (SECOND,)),
        ]
        assert [one.name for one in names.held()] == ["11P"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("block,place\n1,A13\n", "line 2 of the list has no number"),
            ("number,area\n12P,\n", "line 2 of the list has no area"),
            ("number,area\n12 P,A13\n", "'12 P' is no block number"),
            ("number,area\n12P,A13\n12P,A25\n", "12P twice"),
        ],
    )
    def test_what_is_no_list_is_refused_whole(self, names, bay, text, words):
        with pytest.raises(ConfigError, match=words):
            names.give_list(bay, text, "kim")
        assert names.held() == []

    def test_an_area_that_the_bay_does_not_have_is_refused(self, names, bay):
        with pytest.raises(HistoryError, match="has no area X9"):
            names.give_list(bay, "number,area\n12P,A13\n13P,X9\n", "kim")
        assert names.held() == []
