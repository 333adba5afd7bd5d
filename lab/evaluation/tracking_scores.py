"""Scores of whole days of tracks by TrackEval, the reference implementation of HOTA and its kin."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from trackeval.metrics import CLEAR, HOTA, Identity

from lab.evaluation.tracks import MATCH_IOU, Frame


@dataclass(frozen=True)
class ReferenceScore:
    """HOTA and its parts are means over IoU 0.05 to 0.95; IDF1 and `switches` are at IoU 0.5."""

    hota: float
    det_a: float
    ass_a: float
    loc_a: float
    idf1: float
    switches: int


def reference_score(days: Sequence[Sequence[Frame]]) -> ReferenceScore:
    """Score several days as TrackEval combines the sequences of a benchmark.

    Args:
        days: the frames of each day, in slot order; the identities of one day are not those of another.
    """
    data = [_as_trackeval(frames) for frames in days]
    hota = _combined(HOTA(), data)
    identity = _combined(Identity({"THRESHOLD": MATCH_IOU, "PRINT_CONFIG": False}), data)
    clear = _combined(CLEAR({"THRESHOLD": MATCH_IOU, "PRINT_CONFIG": False}), data)
    means = {name: float(np.mean(hota[name])) for name in ("HOTA", "DetA", "AssA", "LocA")}
    return ReferenceScore(
        means["HOTA"], means["DetA"], means["AssA"], means["LocA"], float(identity["IDF1"]), int(clear["IDSW"])
    )


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
