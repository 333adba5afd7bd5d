"""Equal texts and times in a result as one object each.

A pickle tells equal objects from identical ones. With this, the artifact of a slot has the
same bytes whether the state came from memory or from the slot before's file.
"""

from collections.abc import Hashable
from dataclasses import fields, replace
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, cast

from tracking.types import Shape, Sighting, Streak, Track, TrackerState, TrackEvent, TrackingResult

_Value = TypeVar("_Value")
_NUMBERS = ("bool", "int", "float", "Rates", "Form", "Outline", "Polygon", "EventKind", "TrackStatus")


def shared_values(item: _Value) -> _Value:
    """The same value, in which what is equal among texts and times is identical."""
    return cast(_Value, _shared(item, {}, {}))


def _shared(item: Any, known: dict[Hashable, Hashable], done: dict[int, Any]) -> Any:
    names = _SHARING.get(type(item))
    if names is not None:
        if id(item) not in done:  # it is kept beside its result, so that no other object gets its id
            changes = {}
            for name in names:
                value = getattr(item, name)
                if value is not None and value != ():
                    new = _shared(value, known, done)
                    if new is not value:
                        changes[name] = new
            done[id(item)] = item, (replace(item, **changes) if changes else item)
        return done[id(item)][1]
    if isinstance(item, str | datetime):
        return item if isinstance(item, Enum) else known.setdefault(item, item)
    if isinstance(item, tuple):
        if item and all(isinstance(part, str) for part in item):
            return known.setdefault(item, tuple([known.setdefault(part, part) for part in item]))
        if item and id(item) not in done:
            parts = [_shared(part, known, done) for part in item]
            changed = any(new is not old for new, old in zip(parts, item, strict=True))
            done[id(item)] = item, (tuple(parts) if changed else item)
        return done[id(item)][1] if item else item
    if isinstance(item, dict):
        return {_shared(key, known, done): item[key] for key in sorted(item)}
    return item


_SHARING = {
    kind: tuple(one.name for one in fields(kind) if str(getattr(one.type, "__name__", one.type)) not in _NUMBERS)
    for kind in (Track, TrackEvent, Sighting, Streak, Shape, TrackerState, TrackingResult)
}
