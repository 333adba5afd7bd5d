"""What an artifact holds, in the types of JSON, for a person or a program of another language."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any


def to_plain(value: object) -> Any:
    """A value of an artifact in the types of JSON.

    Dataclasses become mappings, times ISO 8601, durations seconds, arrays and outlines nested lists
    (rings of a polygon), bytes their length: `{"bytes": 312345}`.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(one) for key, one in value.items()}
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(one) for one in value]
    return _leaf(value)


def _leaf(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if hasattr(value, "geoms"):  # several outlines
        return [to_plain(one) for one in value.geoms]
    if hasattr(value, "exterior"):
        return [[list(corner) for corner in ring.coords] for ring in (value.exterior, *value.interiors)]  # type: ignore[attr-defined]
    if hasattr(value, "tolist"):  # an array, or one of its numbers
        return value.tolist()
    return value
