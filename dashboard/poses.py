"""Poses of a bay's cameras, judged by the command `camera check-poses` in a process of its own.

It fits blocks for seconds: inside the API server that would hold up every other answer, and stay in its memory.
"""

import json
import subprocess
import sys
import threading

from fastapi import HTTPException

from artifacts import ArtifactStore
from bays import BayConfig
from dashboard.api.models import CameraPose, Poses

BATCHES = 3
_PATIENCE_S = 120.0
_ANSWERED = (0, 1, 3)  # all in their pose, one out of it, undecided

_one_at_a_time = threading.Lock()
_known: dict[str, tuple[str, Poses]] = {}


def poses_of(bay: BayConfig) -> Poses:
    """How each camera of a bay hangs, by its newest batches.

    Raises:
        HTTPException: 404, no observation of the bay is kept; 503, poses are being judged already, or cannot be.
    """
    newest = ArtifactStore().newest("observation", bay.bay_id)
    if newest is None:
        raise HTTPException(404, f"no observation of bay {bay.bay_id} is kept: its poses cannot be judged")
    known = _known.get(bay.bay_id)
    if known is not None and known[0] == newest:
        return known[1]
    if not _one_at_a_time.acquire(blocking=False):
        raise HTTPException(503, "poses are being judged already: ask again in a minute")
    try:
        found = _judged(bay.bay_id)
    finally:
        _one_at_a_time.release()
    _known[bay.bay_id] = (newest, found)
    return found


def _judged(bay_id: str) -> Poses:
    command = [sys.executable, "-m", "fusion", "check-poses", bay_id, "--json", "--batches", str(BATCHES)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise HTTPException(503, f"the poses of bay {bay_id} were not judged within {_PATIENCE_S:g} s") from error
    if done.returncode not in _ANSWERED:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise HTTPException(503, f"check-poses of bay {bay_id} failed: {lines[-1]}")
    values = json.loads(done.stdout)
    fields = CameraPose.model_fields
    cameras = [CameraPose(**{name: one[name] for name in fields}) for one in values["cameras"]]
    return Poses(bay_id=bay_id, batches=values["batches"], cameras=cameras)
