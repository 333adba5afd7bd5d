"""A month of the old results of ten bays, imported twice."""

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa
import yaml

from bay_observation.errors import SimulationError
from bays import bays_path
from tracking.history import History
from tracking.history.schema import batches, events, positions, tracks

_START = datetime(2025, 6, 1, tzinfo=UTC)
_STEP, _SLOTS_A_DAY = timedelta(minutes=10), 144
_BLOCKS = 24
_COLUMNS, _ROWS = 9, 4
_STAGES = ("sub_assembly", "unit_assembly", "grand_assembly", "pre_outfitting")


@dataclass(frozen=True)
class Month:
    """What an import took: seconds of each run, rows of the dump, whether both runs left the same, and how much."""

    seconds: tuple[float, float]
    batches: int
    blocks: int
    same: bool
    stays: int


def import_month(folder: Path, bays: int = 10, days: int = 30) -> Month:
    """Write a dump, import it twice with the command, and compare what the history holds.

    Raises:
        SimulationError: an import failed.
    """
    folder.mkdir(parents=True)
    names = [f"month{number:02d}" for number in range(bays)]
    environment = os.environ | _environment(folder, names)
    dump = folder / "dump.jsonl"
    blocks = _write_dump(dump, names, days)
    seconds, digests, stays = [], [], 0
    for _ in range(2):
        begin = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-m", "legacy", "import", "--json", str(dump)],
            env=environment,
            capture_output=True,
            check=False,
        )
        seconds.append(time.perf_counter() - begin)
        if run.returncode != 0:
            raise SimulationError(f"the import failed: {run.stderr.decode()[-500:]}{run.stdout.decode()[-500:]}")
        stays = sum(one["stays"] for one in json.loads(run.stdout)["bays"].values())
        digests.append(_digest(environment["HISTORY_DB"]))
    return Month((seconds[0], seconds[1]), bays * days * _SLOTS_A_DAY, blocks, digests[0] == digests[1], stays)


def _environment(folder: Path, names: list[str]) -> dict[str, str]:
    content = yaml.safe_load((bays_path() / "3bay_north.yaml").read_text(encoding="utf-8"))
    content.pop("migration", None)
    (folder / "bays").mkdir()
    for name in names:
        (folder / "bays" / f"{name}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    mapping = yaml.safe_load((Path(__file__).parents[2] / "legacy" / "mapping.yaml").read_text(encoding="utf-8"))
    mapping |= {"bays": {name: {} for name in names}}
    (folder / "mapping.yaml").write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
    return {
        "BAYS_PATH": str(folder / "bays"),
        "LEGACY_MAPPING": str(folder / "mapping.yaml"),
        "HISTORY_DB": f"sqlite:///{folder / 'history.db'}",
        "DATA_PATH": str(folder / "data"),
    }


def _write_dump(path: Path, names: list[str], days: int) -> int:
    """Round the clock; a block in twenty moves, changes its stage or goes in a day. Places jitter by centimetres."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for seed, name in enumerate(names):
            dice = np.random.default_rng([seed, 47])
            yard = [_block(f"{name[-2:]}B{number}", number, dice) for number in range(_BLOCKS)]
            for number in range(days * _SLOTS_A_DAY):
                if dice.random() < 0.06:
                    _happens(yard, number, dice, name)
                jitter = dice.normal(0, 0.05, (len(yard), 2)).round(3).tolist()
                floor = [
                    one | {"x": one["x"] + dx, "y": one["y"] + dy} for one, (dx, dy) in zip(yard, jitter, strict=True)
                ]
                local = _START + number * _STEP + timedelta(hours=9)
                value = {"blocks": json.dumps(floor), "status": "completed"}
                file.write(json.dumps({"key": f"bay_floor_state:{name}_{local:%Y%m%d-%H%M%S}", "value": value}) + "\n")
                written += len(floor)
    return written


def _block(name: str, place: int, dice: np.random.Generator) -> dict[str, object]:
    return {
        "block_id": name,
        "class_name": "block",
        "stage": _STAGES[0],
        "confidence": 0.9,
        "x": 10.0 + 15.0 * (place % _COLUMNS),
        "y": 5.0 + 10.0 * (place // _COLUMNS % _ROWS),
        "length": round(float(dice.uniform(6, 10)), 2),
        "width": round(float(dice.uniform(4, 7)), 2),
        "yaw": 0.0,
        "height": round(float(dice.uniform(2, 5)), 2),
    }


def _happens(yard: list[dict[str, object]], number: int, dice: np.random.Generator, name: str) -> None:
    chosen = int(dice.integers(len(yard)))
    kind = int(dice.integers(3))
    if kind == 0:
        yard[chosen] |= {"x": float(dice.uniform(5, 145)), "y": float(dice.uniform(3, 37))}
    elif kind == 1:
        yard[chosen] |= {"stage": str(dice.choice(_STAGES))}
    else:
        yard[chosen] = _block(f"{name[-2:]}C{number}", int(dice.integers(_COLUMNS * _ROWS)), dice)


def _digest(url: str) -> str:
    digest = hashlib.sha256()
    with History(url) as history, history.database.reading() as connection:
        for table in (tracks, positions, events, batches):
            for row in connection.execute(sa.select(table).order_by(*table.primary_key)):
                digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()
