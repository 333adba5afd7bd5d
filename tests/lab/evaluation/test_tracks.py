import math
from dataclasses import dataclass

import numpy as np
import pytest

from lab.evaluation.tracks import Frame, clear_switches, hota, hota_of_days, idf1, idf1_of_days, score_tracks


@pytest.fixture
def frames(slot):
    """frames([{"a": "1"}, ...]): slots in which each true block is exactly covered by that track; None by none."""

    def make(slots, ghosts=()):
        made = []
        for number, pairs in enumerate(slots):
            names = [track for track in pairs.values() if track] + [name for n, name in ghosts if n == number]
            iou = np.array([[float(pairs[block] == track) for track in names] for block in pairs])
            made.append(Frame(slot(number), tuple(pairs), tuple(names), iou.reshape(len(pairs), len(names))))
        return made

    return make


def test_perfect_tracks(frames):
    run = frames([{"a": "1", "b": "2"}] * 5)
    score = hota(run)
    assert (score.hota, score.det_a, score.ass_a, score.loc_a) == pytest.approx((1, 1, 1, 1))
    assert idf1(run) == 1


def test_one_block_two_identities(frames):
    # Two tracks cover half of the run each: every match has 2 matches over a union of 4.
    score = hota(frames([{"a": "1"}, {"a": "1"}, {"a": "2"}, {"a": "2"}]))
    assert (score.det_a, score.ass_a) == pytest.approx((1, 0.5))
    assert score.hota == pytest.approx(math.sqrt(0.5))
    # The best pairing gives the block one of the tracks: 2 of 4 sightings on either side.
    assert idf1(frames([{"a": "1"}, {"a": "1"}, {"a": "2"}, {"a": "2"}])) == pytest.approx(0.5)


def test_misses_and_ghosts(frames):
    # 3 hits, 1 miss, 2 ghosts.
    run = frames([{"a": "1"}, {"a": None}, {"a": "1"}, {"a": "1"}], ghosts=[(0, "g"), (1, "g")])
    score = hota(run)
    assert score.det_a == pytest.approx(3 / 6)
    assert score.ass_a == pytest.approx(3 / 4)
    assert idf1(run) == pytest.approx(2 * 3 / (4 + 5))


def test_overlap_decides_up_to_which_alpha_a_pair_counts(slot):
    # An IoU of 0.52 counts at 0.05, 0.10, ... 0.50: ten of nineteen thresholds.
    run = [Frame(slot(n), ("a",), ("1",), np.array([[0.52]])) for n in range(3)]
    assert hota(run).hota == pytest.approx(10 / 19)


def test_nothing_is_not_a_number():
    assert math.isnan(hota([]).hota)
    assert math.isnan(idf1([]))


def test_switches_tell_whether_the_block_stood(frames, true):
    run = frames([{"a": "1", "b": "2"}, {"a": "1", "b": None}, {"a": "3", "b": "4"}])
    truth = [[true("a", 3), true("b", 30)], [true("a", 3), true("b", 30)], [true("a", 3), true("b", 60)]]
    score = score_tracks(run, truth)
    assert [(s.block_id, s.before, s.after, s.stood_still) for s in score.switches] == [
        ("a", "1", "3", True),
        ("b", "2", "4", False),
    ]
    assert score.standing_switches == 1
    assert score.purity == 1


def test_purity_of_a_track_that_changes_its_block(frames, true):
    run = frames([{"a": "1"}, {"a": "1"}, {"a": "1"}, {"b": "1"}])
    truth = [[true("a", 3)]] * 3 + [[true("b", 60)]]
    assert score_tracks(run, truth).purity == pytest.approx(3 / 4)


@dataclass(frozen=True)
class _Reference:
    """HOTA of one alpha, written as the paper's formulas: a sum over every true positive."""

    matches: list[tuple[str, str]]
    truths: list[str]
    tracks: list[str]

    def score(self):
        tp = len(self.matches)
        det = tp / (len(self.truths) + len(self.tracks) - tp)
        total = 0.0
        for block, track in self.matches:
            tpa = self.matches.count((block, track))
            fna = self.truths.count(block) - tpa
            fpa = self.tracks.count(track) - tpa
            total += tpa / (tpa + fna + fpa)
        return math.sqrt(det * total / tp)


def test_agrees_with_the_papers_formulas(frames):
    dice = np.random.default_rng(2)
    slots, matches, truths, tracks = [], [], [], []
    for _ in range(30):
        pairs = {}
        names = list(dice.permutation(["1", "2", "3", "4"]))
        for block in ("a", "b", "c"):
            track = names.pop() if dice.random() < 0.8 else None
            pairs[block] = track
            truths.append(block)
            if track:
                tracks.append(track)
                matches.append((block, track))
        slots.append(pairs)
    assert hota(frames(slots)).hota == pytest.approx(_Reference(matches, truths, tracks).score())


def test_several_days_have_identities_of_their_own(frames):
    day = frames([{"a": "1", "b": "2"}] * 5)
    other = frames([{"a": "2", "b": "1"}] * 5)
    assert hota_of_days([day, other]).ass_a == pytest.approx(1)
    assert idf1_of_days([day, other]) == pytest.approx(1)
    assert clear_switches([day, other]) == 0
    # As one day: five matches of ten truths and ten tracks.
    assert hota_of_days([day + other]).ass_a == pytest.approx(5 / 15)
    assert idf1_of_days([day + other]) == pytest.approx(0.5)
    assert clear_switches([day + other]) == 2
