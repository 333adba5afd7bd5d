"""How right identities are over time, measured on footprints on the floor.

HOTA, IDF1 and the number of switches are TrackEval's, the reference implementation. By hand
stay the purity and the switches of blocks that stand: no library knows which block stood still.

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
from typing import Any

import numpy as np
from shapely import Polygon
from trackeval.metrics import CLEAR, HOTA, Identity

from lab.evaluation.floor import number, percent
from lab.evaluation.overlap import Floats, iou_matrix, pair_up
from lab.evaluation.truth import TruthBlock
from tracking.types import Track

MATCH_IOU = 0.5
_AT_MATCH = {"THRESHOLD": MATCH_IOU, "PRINT_CONFIG": False}
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
    """Higher order tracking accuracy, by TrackEval."""
    return hota_of_days([frames])


def hota_of_days(days: Sequence[Sequence[Frame]]) -> HotaScore:
    """The same of several days, whose identities are separate, as TrackEval combines the sequences of a benchmark."""
    data = [_as_trackeval(frames) for frames in days if any(f.truth_ids or f.track_ids for f in frames)]
    if not data:
        return HotaScore(math.nan, math.nan, math.nan, math.nan)
    result = _combined(HOTA(), data)
    return HotaScore(*(float(np.mean(result[name])) for name in ("HOTA", "DetA", "AssA", "LocA")))


def idf1(frames: Sequence[Frame]) -> float:
    """Share of correctly identified sightings: one track for each true block, over the whole run; by TrackEval."""
    return idf1_of_days([frames])


def idf1_of_days(days: Sequence[Sequence[Frame]]) -> float:
    """The same of several days, whose identities are separate."""
    data = [_as_trackeval(frames) for frames in days if any(f.truth_ids or f.track_ids for f in frames)]
    return float(_combined(Identity(_AT_MATCH), data)["IDF1"]) if data else math.nan


def clear_switches(days: Sequence[Sequence[Frame]]) -> int:
    """Identity switches of several days as CLEAR MOT counts them; by TrackEval."""
    return int(_combined(CLEAR(_AT_MATCH), [_as_trackeval(frames) for frames in days])["IDSW"])


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


def _combined(metric: Any, data: Sequence[dict[str, Any]]) -> dict[str, Any]:
    results = {str(number): metric.eval_sequence(sequence) for number, sequence in enumerate(data)}
    return dict(metric.combine_sequences(results))


def _as_trackeval(frames: Sequence[Frame]) -> dict[str, Any]:
    truths = {name: index for index, name in enumerate(sorted({name for f in frames for name in f.truth_ids}))}
    tracks = {name: index for index, name in enumerate(sorted({name for f in frames for name in f.track_ids}))}
    return {
        "num_timesteps": len(frames),
        "num_gt_ids": len(truths),
        "num_tracker_ids": len(tracks),
        "num_gt_dets": sum(len(frame.truth_ids) for frame in frames),
        "num_tracker_dets": sum(len(frame.track_ids) for frame in frames),
        "gt_ids": [np.array([truths[name] for name in frame.truth_ids], dtype=int) for frame in frames],
        "tracker_ids": [np.array([tracks[name] for name in frame.track_ids], dtype=int) for frame in frames],
        "similarity_scores": [frame.iou for frame in frames],
    }
