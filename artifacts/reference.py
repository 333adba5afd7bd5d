"""What travels through XCom and `conf` in place of an artifact."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Generic, Literal, Self, get_args

from typing_extensions import TypeVar

from bay_observation.errors import ArtifactError

Stage = Literal["capture", "observation", "fusion", "tracking"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,95}")

# The frames and what the models saw in them lie side by side in the batch's folder.
_FILES: dict[Stage, tuple[str, str]] = {
    "capture": ("observation", "capture.pkl"),
    "observation": ("observation", "result.pkl"),
    "fusion": ("fusion", "result.pkl"),
    "tracking": ("tracking", "result.pkl"),
}


def artifact_path(stage: Stage, bay_id: str, batch_id: str) -> PurePosixPath:
    """Path of an artifact relative to the store: `fusion/{bay_id}/{batch_id}/result.pkl`.

    Raises:
        ArtifactError: the stage is unknown, or a name could leave the store.
    """
    if not isinstance(stage, str) or stage not in _FILES:
        raise ArtifactError(f"unknown stage {stage!r}: stages are {', '.join(get_args(Stage))}")
    for what, name in (("bay id", bay_id), ("batch id", batch_id)):
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise ArtifactError(f"{what} {name!r} is no plain name: letters, digits, underscore and hyphen")
    folder, file_name = _FILES[stage]
    return PurePosixPath(folder, bay_id, batch_id, file_name)


T = TypeVar("T", default=Any)


@dataclass(frozen=True, slots=True)
class ArtifactReference(Generic[T]):
    """A published artifact: where it lies and what its bytes must be. `T` is the type that it holds.

    `path` is relative to the store's root, since hosts mount it at different
    places; `schema` is the version of the stage's types that wrote it.
    """

    stage: Stage
    bay_id: str
    batch_id: str
    path: str
    sha256: str
    size: int
    schema: int

    def __post_init__(self) -> None:
        expected = artifact_path(self.stage, self.bay_id, self.batch_id)
        if self.path != str(expected):
            raise ArtifactError(
                f"reference to {self.path!r} does not fit its names:"
                f" {self.stage} of batch {self.batch_id} is {expected}"
            )
        if _SHA256.fullmatch(self.sha256) is None:
            raise ArtifactError(f"reference to {self.path}: {self.sha256!r} is no sha256")
        for what, number in (("size", self.size), ("schema", self.schema)):
            if type(number) is not int or number < 1:
                raise ArtifactError(f"reference to {self.path}: {what} {number!r} is no positive whole number")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for XCom, `conf` and event payloads; `result_path` is the specification's name."""
        return {
            "stage": self.stage,
            "bay_id": self.bay_id,
            "batch_id": self.batch_id,
            "result_path": self.path,
            "sha256": self.sha256,
            "size": self.size,
            "schema": self.schema,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reference that `to_dict` wrote; further keys are left alone.

        Raises:
            ArtifactError: a key is missing or a value is wrong.
        """
        if not isinstance(values, Mapping):
            raise ArtifactError(f"a reference is a mapping, not {type(values).__name__}")
        keys = ("stage", "bay_id", "batch_id", "result_path", "sha256", "size", "schema")
        missing = [key for key in keys if key not in values]
        if missing:
            raise ArtifactError(f"reference without {', '.join(missing)}")
        stage, bay_id, batch_id, path, sha256, size, schema = (values[key] for key in keys)
        return cls(stage, bay_id, batch_id, path, str(sha256), size, schema)
