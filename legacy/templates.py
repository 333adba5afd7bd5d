"""Keys and batch ids of the old system: from text to bay, time and camera, and back."""

import re
from collections.abc import Mapping as AnyMapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from legacy.mapping import BatchName, Mapping

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class OldNames:
    """Names of batches, keys and fields by a mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self._name: BatchName = mapping.batch_id
        self._zone = ZoneInfo(mapping.batch_id.time_zone)
        self._bays = {old.name or bay_id: bay_id for bay_id, old in mapping.bays.items()}
        self._old_bays = {bay_id: name for name, bay_id in self._bays.items()}
        self._id_pattern = self.pattern(self._name.form)
        self._slots: dict[str, datetime | None] = {}

    def pattern(self, template: str) -> re.Pattern[str]:
        """What a template matches; its groups are its placeholders."""
        # The longest first: a bay's name may begin another's.
        bays = "|".join(re.escape(name) for name in sorted(self._bays, key=len, reverse=True)) or "(?!)"
        parts = {"bay": f"(?P<bay>{bays})", "time": r"(?P<time>[^{}]+?)", "camera": "(?P<camera>.+?)"}
        parts["batch_id"] = "(?P<batch_id>.+?)"
        split = _PLACEHOLDER.split(template)
        return re.compile("".join(parts[part] if index % 2 else re.escape(part) for index, part in enumerate(split)))

    def slot(self, values: AnyMapping[str, str]) -> tuple[str, datetime] | None:
        """(bay id, slot) of the groups of a match; None where they name no batch of a bay of the mapping."""
        batch = values.get("batch_id")
        if batch is not None:
            match = self._id_pattern.fullmatch(batch)
            if match is None:
                return None
            values = match.groupdict()
        bay, time = values.get("bay"), values.get("time")
        moment = None if time is None else self._moment(time)
        return None if bay is None or moment is None else (self._bays[bay], moment)

    def batch_id(self, bay_id: str, slot: datetime) -> str:
        """The old side's name of a batch."""
        return self._name.form.replace("{bay}", self._old_bays[bay_id]).replace("{time}", self._time(slot))

    def fill(self, template: str, bay_id: str, slot: datetime | None = None, camera: str = "") -> str:
        """A template with its values; `camera` is the old name."""
        text = template.replace("{bay}", self._old_bays[bay_id]).replace("{camera}", camera)
        if slot is not None:
            text = text.replace("{batch_id}", self.batch_id(bay_id, slot)).replace("{time}", self._time(slot))
        return text

    def _time(self, slot: datetime) -> str:
        return slot.astimezone(self._zone).strftime(self._name.time)

    def _moment(self, text: str) -> datetime | None:
        """The slot in a text (aware, UTC). Of an hour that a clock has twice, the first."""
        if text not in self._slots:
            try:
                local = datetime.strptime(text, self._name.time).replace(tzinfo=self._zone)
                self._slots[text] = local.astimezone(UTC)
            except ValueError:
                self._slots[text] = None
        return self._slots[text]
