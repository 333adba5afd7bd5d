"""`make bench-artifacts`: format 2 beside format 1, for a capture and a floor plan: save, load, and size.

Format 1 pickled the stages' own classes and read them back through a list of allowed names. It is written
again here in a few lines, on the same atomic write, digest and guarded calls, so that both are timed in
one run, in turn. Exits with 1 when a bar does not hold.
"""

import argparse
import hashlib
import io
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from shapely import MultiPolygon, box

from artifacts import ArtifactStore, Stage, guard_for
from bay_observation.commands import output_console, run_command
from bay_observation.files import write_atomically
from bays import batch_id, load_bay
from capture_async.types import Attempt, CaptureBatch, CapturedImage
from fusion.types import FusedBlock, FusionResult
from lab.bars import Bar, bars_table

_BAR = 1.1
_LIMIT_S = 20.0
_ROUNDS = 41
_FRAME_BYTES = 400_000
_BLOCKS = 30
_SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
_BAY = "demo_bay"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print each ratio beside its bar; 1 when one does not hold."""
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks.artifacts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"of each, in turn ({_ROUNDS})")
    options = parser.parse_args(arguments)
    bars = [bar for name, value in _values().items() for bar in _compare(name, value, options.rounds)]
    output_console().print(bars_table(bars, "Artifacts: format 2 over format 1"))
    return 0 if all(bar.holds for bar in bars) else 1


def _values() -> dict[Stage, CaptureBatch | FusionResult]:
    bay, random = load_bay(_BAY), np.random.default_rng(1)
    names = tuple(camera.name for camera in bay.cameras)
    batch = batch_id(_BAY, _SLOT)
    images = tuple(
        CapturedImage(name, _BAY, _SLOT, random.bytes(_FRAME_BYTES), (Attempt("ok", 0.2),)) for name in names
    )
    blocks = tuple(
        FusedBlock("block", box(x, y, x + 9.1, y + 7.3), 3.2, "A12", "1", 0.9, names[:4], {"welder": 1}, 0.02)
        for x, y in random.uniform(0, 100, (_BLOCKS, 2))
    )
    unseen = MultiPolygon([box(x, y, x + 1, y + 2) for x, y in random.uniform(0, 100, (12, 2))])
    return {
        "capture": CaptureBatch(batch, _BAY, images),
        "fusion": FusionResult(batch, _BAY, blocks, unseen, names),
    }


def _compare(stage: Stage, value: Any, rounds: int) -> list[Bar]:
    with tempfile.TemporaryDirectory(prefix="bench-artifacts-") as folder:
        store, old = ArtifactStore(Path(folder) / "new"), _Format1(Path(folder) / "old.pkl", stage)
        saves, loads = [], []
        for _ in range(rounds):
            path = Path(folder) / "new" / store.reference(stage, _BAY, value.batch_id, value).path
            path.unlink(missing_ok=True)
            new_s, reference = _timed(lambda: store.save(stage, _BAY, value.batch_id, value))
            old_s, digest = _timed(lambda: old.save(value))
            saves.append(new_s / old_s)
            new_s, _ = _timed(lambda reference=reference: store.load(reference))  # type: ignore[misc]
            old_s, _ = _timed(lambda digest=digest: old.load(digest))  # type: ignore[misc]
            loads.append(new_s / old_s)
        size = path.stat().st_size / old.path.stat().st_size
    figures = {"save": statistics.median(saves), "load": statistics.median(loads), "size": size}
    return [Bar(f"{stage}: {what}", figure, "<=", _BAR, "x") for what, figure in figures.items()]


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


class _Format1:
    """What saved and loaded an artifact before: the pickle of its classes, read through a list of names."""

    def __init__(self, path: Path, stage: str) -> None:
        self.path = path
        self._guard = guard_for(str(path.parent))
        self._header = f"bay-observation {stage} 1\n".encode()

    def save(self, value: object) -> str:
        content = self._header + pickle.dumps(value, protocol=5)
        _Unpickler(io.BytesIO(content[len(self._header) :])).load()
        digest = hashlib.sha256(content).hexdigest()
        self._guard.call(lambda: write_atomically(self.path, content), _LIMIT_S)
        return digest

    def load(self, digest: str) -> Any:
        content = self._guard.call(self.path.read_bytes, _LIMIT_S)
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(self.path)
        return _Unpickler(io.BytesIO(content[len(self._header) :])).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name)


if __name__ == "__main__":
    run_command(main)
