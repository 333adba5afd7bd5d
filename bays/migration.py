"""Who observes a bay while an old system is replaced: the `migration` key of its YAML file."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Owner = Literal["old", "shadow", "new"]

# The last of the tries begins after a quarter of the deadline (`capture_async.service`).
_DEADLINE_PER_WAIT = 4
_TRIES = 10


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class OldFrames(_Strict):
    """Where the old system stores its frames, in `{base_path}/{camera_name}/`.

    The moment in a file's name is `time_zone`'s; a frame is of a slot when it lies within
    `tolerance_s` of it. Frames that are not there yet are waited for, `wait_s` seconds.
    """

    base_path: Path
    time_zone: str = "UTC"
    tolerance_s: Annotated[float, Field(gt=0, le=3600)] = 240.0
    wait_s: Annotated[float, Field(gt=0, le=135)] = 120.0


class Migration(_Strict):
    """Who owns the bay.

    `old`: the old system alone; the bay does not run here. `shadow`: it runs here on the frames
    that the old system stores, and nobody is notified. `new`: the bay is this system's. See docs/migration.md.
    """

    owner: Owner
    frames: OldFrames | None = None

    @model_validator(mode="after")
    def _a_shadow_has_frames(self) -> Self:
        if self.owner == "shadow" and self.frames is None:
            raise ValueError(
                "owner shadow: name the folder of the old system's frames, as frames: {base_path: /mnt/old}"
            )
        return self


def as_owner_says(raw: dict[str, Any]) -> dict[str, Any]:
    """What a bay's file means with its `migration`: what runs, and where frames come from.

    Args:
        raw: the file's keys; a wrong `migration` is left to its model.
    """
    try:
        migration = Migration.model_validate(raw.get("migration"))
    except ValueError:
        return raw
    if migration.owner == "old":
        return raw | {"enabled": False}
    if migration.owner == "new" or migration.frames is None:
        return raw
    frames = migration.frames
    config = {
        "base_path": str(frames.base_path),
        "time_tolerance_hours": frames.tolerance_s / 3600,
        "time_zone": frames.time_zone,
        "growing": True,
    }
    return raw | {
        "image_provider": "file",
        "image_provider_config": config,
        "capture_deadline": _DEADLINE_PER_WAIT * frames.wait_s,
        "capture_attempts": _TRIES,
    }
