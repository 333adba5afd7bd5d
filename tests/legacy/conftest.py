"""The old system of bay yard: its mapping, and records as its producer writes them."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from legacy.__main__ import main
from legacy.decoding import Decoder
from legacy.mapping import load_mapping
from legacy.records import Problems

SHIPPED = Path(__file__).parents[2] / "legacy" / "mapping.yaml"
SLOT = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)  # 10:00 in Seoul
STEP = timedelta(minutes=10)
CAMERAS = ("C_4", "D_7")


def merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with changes, mapping for mapping."""
    result = deepcopy(base)
    for key, value in changes.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(value, dict) and isinstance(inner, dict) else value
    return result


@cache
def _shipped() -> dict[str, Any]:
    content: dict[str, Any] = yaml.load(SHIPPED.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return content | {"bays": {"yard": {}}}


@pytest.fixture
def make_mapping(tmp_path: Path) -> Callable[..., Any]:
    """make_mapping(units={"length": "mm"}): the shipped mapping with changes, of bay yard, loaded."""

    def make(**changes: Any) -> Any:
        path = tmp_path / "mapping.yaml"
        text = yaml.dump(merged(_shipped(), changes), Dumper=yaml.CSafeDumper)
        path.write_text(text, encoding="utf-8")
        return load_mapping(path)

    return make


@pytest.fixture
def decode(make_mapping, bay) -> Callable[..., Any]:
    """decode(key, fields, units=...): the batches of a hash, and what does not fit."""

    def read(key: str, fields: dict[str, Any], **changes: Any) -> Any:
        problems = Problems()
        decoder = Decoder(make_mapping(**changes), {"yard": bay}, problems)
        return list(decoder.hash(key, fields)), [problem.what for problem in problems]

    return read


@pytest.fixture
def bay(make_bay):
    """Bay yard, like the demo's, open all day."""
    return make_bay("yard", operating_hours=[], skip_times=[])


@pytest.fixture
def legacy(bay, tmp_path, capsys, monkeypatch):
    """legacy("check", ...): the status and what was printed."""
    path = tmp_path / "mapping.yaml"
    path.write_text(yaml.dump(_shipped(), Dumper=yaml.CSafeDumper))
    monkeypatch.setenv("LEGACY_MAPPING", str(path))
    monkeypatch.delenv("LEGACY_REDIS", raising=False)

    def run(*arguments):
        status = main([str(one) for one in arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def key(slot: datetime = SLOT) -> str:
    """Of a hash, by the old producer's clock."""
    return f"cctv_image_state:{old_id(slot)}"


def old_id(slot: datetime = SLOT) -> str:
    return f"yard_{slot + timedelta(hours=9):%Y%m%d-%H%M%S}"


def frame(camera: str = "C_4", slot: datetime = SLOT, **changes: Any) -> str:
    """A record of a frame, as the old producer writes it."""
    record = {
        "camera_name": camera,
        "captured_at": f"{slot + timedelta(hours=9, seconds=12):%Y-%m-%dT%H:%M:%S}",
        "detections": [detection()],
    }
    return json.dumps(record | changes)


def detection(**changes: Any) -> dict[str, Any]:
    found = {"class_name": "block", "confidence": 0.9, "bbox": [100, 200, 300, 350], "stage": "sub_assembly"}
    return found | changes


def block(block_id: str = "B-1", x: float = 20.0, y: float = 10.0, **changes: Any) -> dict[str, Any]:
    """A block of the old floor."""
    standing = {
        "block_id": block_id,
        "class_name": "block",
        "stage": "sub_assembly",
        "confidence": 0.8,
        "x": x,
        "y": y,
        "length": 8.0,
        "width": 5.0,
        "yaw": 0.0,
        "height": 3.0,
    }
    return standing | changes


def floor_key(slot: datetime = SLOT) -> str:
    return f"bay_floor_state:{old_id(slot)}"


def floor(*blocks: dict[str, Any]) -> dict[str, str]:
    """The fields of a floor's hash."""
    return {"blocks": json.dumps(list(blocks)), "status": "completed"}
