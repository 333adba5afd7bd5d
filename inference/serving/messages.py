"""What client and server say to each other: one line of JSON each way, then the connection ends.

    {"ask": "observe", "capture": {reference}, "wait": true}  ->  {"status": "done", ...}
    {"ask": "health"}                                         ->  {"status": "well", ...}

References travel, never images. A line is small: whoever sends more is not one of ours.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from artifacts import ArtifactReference
from bay_observation.errors import ArtifactError, InferenceError

LONGEST_LINE = 64 * 1024

Status = Literal["done", "accepted", "busy", "failed", "stopping"]


@dataclass(frozen=True)
class Observed:
    """A batch that went through the models.

    Attributes:
        reference: the Observation artifact.
        frames: cameras whose frame was looked at.
        objects: all that was found in them.
        failures: why, by name of each camera without a usable frame.
        seconds: from loading the capture to publishing the Observation.
    """

    reference: ArtifactReference
    frames: int
    objects: int
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Values of JSON."""
        return {
            "reference": self.reference.to_dict(),
            "frames": self.frames,
            "objects": self.objects,
            "failures": dict(self.failures),
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, values: object, *, capture: ArtifactReference) -> Self:
        """What `to_dict` wrote, for this capture's batch and no other.

        Raises:
            InferenceError: of the wrong form, or of another batch.
        """
        where = f"observation of {capture.batch_id}"
        if not isinstance(values, Mapping):
            raise InferenceError(f"{where}: {type(values).__name__} where a mapping is wanted")
        try:
            reference = ArtifactReference.from_dict(values.get("reference"))  # type: ignore[arg-type]  # checked there
        except ArtifactError as error:
            raise InferenceError(f"{where}: {error}") from error
        if (reference.stage, reference.bay_id, reference.batch_id) != (
            "observation",
            capture.bay_id,
            capture.batch_id,
        ):
            raise InferenceError(f"{where}: its reference is to {reference.path}")
        frames, objects, seconds = (values.get(name) for name in ("frames", "objects", "seconds"))
        failures = values.get("failures")
        if any(type(count) is not int or count < 0 for count in (frames, objects)):
            raise InferenceError(f"{where}: frames {frames!r} and objects {objects!r} are no counts")
        if not isinstance(seconds, int | float) or seconds < 0:
            raise InferenceError(f"{where}: seconds {seconds!r} are no duration")
        if not isinstance(failures, Mapping) or any(not isinstance(reason, str) for reason in failures.values()):
            raise InferenceError(f"{where}: failures {failures!r} are no reasons by camera")
        return cls(reference, frames, objects, dict(failures), float(seconds))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Reply:
    """The server's answer to a request for a batch.

    Attributes:
        status: `done` has `observed`; `accepted` is for who does not wait; `busy` means that
            the queue is full; `stopping` that the server ends and did not do it; `failed` has an error.
        observed: with `done` only.
        error: what happened and what to do, with `busy`, `stopping` and `failed`.
        retry: whether asking again can mend it.
    """

    status: Status
    observed: Observed | None = None
    error: str = ""
    retry: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Values of JSON."""
        return {
            "status": self.status,
            "observed": self.observed.to_dict() if self.observed else None,
            "error": self.error,
            "retry": self.retry,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, capture: ArtifactReference) -> Self:
        """The reply that `to_dict` wrote, about this capture.

        Raises:
            InferenceError: of the wrong form, or about another batch.
        """
        status: Any = values.get("status")
        if status not in get_args(Status):
            raise InferenceError(f"answer of the inference server: status {status!r} is unknown: {values.get('error')}")
        observed = Observed.from_dict(values.get("observed"), capture=capture) if status == "done" else None
        return cls(status, observed, str(values.get("error", "")), values.get("retry") is not False)


def to_line(values: Mapping[str, Any]) -> bytes:
    """One message as it is sent."""
    return json.dumps(values).encode() + b"\n"


def from_line(line: bytes) -> dict[str, Any]:
    """One message as it was sent.

    Raises:
        InferenceError: it is no line of JSON that holds a mapping.
    """
    try:
        values = json.loads(line)
    except ValueError as error:
        raise InferenceError(f"a message of {len(line)} bytes is no JSON") from error
    if not isinstance(values, dict):
        raise InferenceError(f"a message is a mapping, not {type(values).__name__}")
    return values
