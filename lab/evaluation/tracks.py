"""How right identities are over time, measured on footprints on the floor.

HOTA follows Luiten et al. 2021, "HOTA: A Higher Order Metric for Evaluating
Multi-Object Tracking"; IDF1 follows Ristani et al. 2016, "Performance Measures and a
Data Set for Multi-Target, Multi-Camera Tracking"; identity switches are counted as in
Bernardin and Stiefelhagen 2008, "Evaluating Multiple Object Tracking Performance: The
CLEAR MOT Metrics". Similarity is the intersection over union of footprints.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy.optimize import linear_sum_assignment
from shapely import Polygon

from lab.evaluation.floor import number, percent
from lab.evaluation.overlap import Floats, iou_matrix, pair_up
from lab.evaluation.truth import TruthBlock
from tracking.types import Track

MATCH_IOU = 0.5
_ALPHAS = np.arange(0.05, 0.96, 0.05)
_STOOD_STILL_IOU = 0.9


@dataclass(frozen=True, eq=False)
class Frame:
    """One slot: ids of the true blocks and of the tracks, and (truths, tracks) IoU of their footprints."""

    slot: datetime
    truth_ids: tuple[str, ...]
    track_ids: tuple[str, ...]
    iou: Floats

    def matches(self, min_iou: float = MATCH_IOU) -> dict[str, str]:
        """Id of the track by id of the true block."""
        return {self.truth_ids[row]: self.track_ids[column] for row, column in pair_up(self.iou, min_iou)}


@dataclass(frozen=True)
class HotaScore:
    """HOTA, its detection and association parts and the localisation, averaged over IoU 0.05 to 0.95."""

    hota: float
    det_a: float
    ass_a: float
    loc_a: float


@dataclass(frozen=True)
class IdentitySwitch:
    """A true block that was one track and then is another.

    `stood_still`: whether it did not move between the two slots: then nothing excuses the switch.
    """

    block_id: str
    slot: datetime
    before: str
    after: str
    stood_still: bool


@dataclass(frozen=True)
class TrackScore:
    """All of a run. NaN where there is neither truth nor track."""

    hota: HotaScore
    idf1: float
    purity: float
    switches: tuple[IdentitySwitch, ...]

    @property
    def standing_switches(self) -> int:
        """Switches of blocks that stood still."""
        return sum(switch.stood_still for switch in self.switches)

    def rows(self) -> list[tuple[str, str]]:
        """Lines of a table: what, and how much."""
        return [
            ("HOTA", number(self.hota.hota, 3)),
            ("DetA", number(self.hota.det_a, 3)),
            ("AssA", number(self.hota.ass_a, 3)),
            ("LocA", number(self.hota.loc_a, 3)),
            ("IDF1", number(self.idf1, 3)),
            ("identity purity", percent(self.purity)),
            ("identity switches", str(len(self.switches))),
            ("  of standing blocks", str(self.standing_switches)),
        ]


def frame_of(slot: datetime, truth: Sequence[TruthBlock], tracks: Iterable[Track]) -> Frame:
    """A slot's truth beside the tracks that the tracker stands by then (`Track.is_certain`)."""
    claimed = [track for track in tracks if track.is_certain]
    return Frame(
        slot,
        tuple(block.block_id for block in truth),
        tuple(track.track_id for track in claimed),
        iou_matrix([block.footprint for block in truth], [track.footprint for track in claimed]),
    )


def score_tracks(frames: Sequence[Frame], truth: Sequence[Sequence[TruthBlock]]) -> TrackScore:
    """Score a run. `frames` and `truth` are of the same slots, in slot order."""
    return TrackScore(hota(frames), idf1(frames), _purity(frames), tuple(_switches(frames, truth)))


def hota(frames: Sequence[Frame]) -> HotaScore:
    """Higher order tracking accuracy.

    In each slot truths and tracks are paired so that pairs that go together over the
    whole run come first (their global alignment), then overlap; for each threshold
    alpha a pair counts where its IoU reaches alpha.
    """
    counts = _Counts(frames)
    if not counts.truth.size and not counts.tracks.size:
        return HotaScore(math.nan, math.nan, math.nan, math.nan)
    alignment = counts.together / np.maximum(counts.truth[:, None] + counts.tracks[None, :] - counts.together, 1e-12)
    pairs: list[tuple[int, int, float]] = []
    for frame, (rows, columns) in zip(frames, counts.indices, strict=True):
        chosen = linear_sum_assignment(alignment[np.ix_(rows, columns)] * frame.iou, maximize=True)
        pairs += [(rows[a], columns[b], float(frame.iou[a, b])) for a, b in zip(*chosen, strict=True)]
    truth_total, track_total = int(counts.truth.sum()), int(counts.tracks.sum())
    scores = []
    for alpha in _ALPHAS:
        kept = [pair for pair in pairs if pair[2] >= alpha - 1e-9]
        matched = Counter((row, column) for row, column, _ in kept)
        hits = len(kept)
        det_a = hits / max(1, truth_total + track_total - hits)
        # Association accuracy of a match: its trajectories' matches over the union of both.
        ass_a = sum(
            count * count / (counts.truth[row] + counts.tracks[column] - count)
            for (row, column), count in matched.items()
        ) / max(1, hits)
        loc_a = sum(iou for _, _, iou in kept) / hits if hits else 1.0
        scores.append((math.sqrt(det_a * ass_a), det_a, ass_a, loc_a))
    return HotaScore(*(float(value) for value in np.mean(scores, axis=0)))


def idf1(frames: Sequence[Frame], min_iou: float = MATCH_IOU) -> float:
    """Share of correctly identified sightings: one track for each true block, over the whole run.

    The pairing of trajectories is the one with the most slots in which both overlap.
    """
    counts = _Counts(frames)
    total = int(counts.truth.sum() + counts.tracks.sum())
    if not total:
        return math.nan
    overlapping = np.zeros_like(counts.together)
    for frame, (rows, columns) in zip(frames, counts.indices, strict=True):
        overlapping[np.ix_(rows, columns)] += frame.iou >= min_iou
    rows_, columns_ = linear_sum_assignment(overlapping, maximize=True)
    return float(2 * overlapping[rows_, columns_].sum() / total)


def _purity(frames: Iterable[Frame]) -> float:
    """Share of the matched sightings of tracks that are of the track's most frequent block."""
    blocks: dict[str, Counter[str]] = defaultdict(Counter)
    for frame in frames:
        for block_id, track_id in frame.matches().items():
            blocks[track_id][block_id] += 1
    total = sum(counter.total() for counter in blocks.values())
    return sum(max(counter.values()) for counter in blocks.values()) / total if total else math.nan


def _switches(frames: Sequence[Frame], truth: Sequence[Sequence[TruthBlock]]) -> Iterable[IdentitySwitch]:
    latest: dict[str, tuple[str, Polygon]] = {}
    for frame, blocks in zip(frames, truth, strict=True):
        footprints = {block.block_id: block.footprint for block in blocks}
        for block_id, track_id in frame.matches().items():
            here = footprints[block_id]
            before = latest.get(block_id)
            if before is not None and before[0] != track_id:
                still = float(iou_matrix([before[1]], [here])[0, 0]) >= _STOOD_STILL_IOU
                yield IdentitySwitch(block_id, frame.slot, before[0], track_id, still)
            latest[block_id] = (track_id, here)


class _Counts:
    """Sightings of each trajectory, and how much truths and tracks are together over the run.

    `together` sums, over slots, a pair's IoU over all IoU that either of the two has.
    """

    def __init__(self, frames: Sequence[Frame]) -> None:
        truth_index = _index(name for frame in frames for name in frame.truth_ids)
        track_index = _index(name for frame in frames for name in frame.track_ids)
        self.truth = np.zeros(len(truth_index))
        self.tracks = np.zeros(len(track_index))
        self.together = np.zeros((len(truth_index), len(track_index)))
        self.indices: list[tuple[list[int], list[int]]] = []
        for frame in frames:
            rows = [truth_index[name] for name in frame.truth_ids]
            columns = [track_index[name] for name in frame.track_ids]
            self.indices.append((rows, columns))
            self.truth[rows] += 1
            self.tracks[columns] += 1
            union = frame.iou.sum(axis=0, keepdims=True) + frame.iou.sum(axis=1, keepdims=True) - frame.iou
            share = np.divide(frame.iou, union, out=np.zeros_like(frame.iou), where=union > 1e-12)
            self.together[np.ix_(rows, columns)] += share


def _index(names: Iterable[str]) -> dict[str, int]:
    return {name: position for position, name in enumerate(dict.fromkeys(names))}
