"""The protocol of client and server: one line of JSON each way, then the connection ends.

    {"ask": "observe", "capture": {reference}, "wait": true}  ->  {"status": "done", ...}
    {"ask": "health"}                                         ->  {"status": "well", ...}

References travel, never images. A longer line than `LONGEST_LINE` is refused.
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
    """The outcome of a batch that went through the models.

    Attributes:
        reference: the Observation artifact.
        frames: number of frames that the models saw.
        objects: number of objects found in them.
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
        """Read what `to_dict` wrote for this capture's batch.

        Raises:
            InferenceError: the form is wrong, or it is another batch.
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
            raise InferenceError(f"{where}: frames {frames!r} and objects {objects!r} are not counts")
        if not isinstance(seconds, int | float) or seconds < 0:
            raise InferenceError(f"{where}: seconds {seconds!r} is not a duration")
        if not isinstance(failures, Mapping) or any(not isinstance(reason, str) for reason in failures.values()):
            raise InferenceError(f"{where}: failures {failures!r} are not reasons by camera")
        return cls(reference, frames, objects, dict(failures), float(seconds))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Reply:
    """The server's answer to a request for a batch.

    Attributes:
        status: `done` has `observed`; `accepted` answers a client that does not wait; `busy`: the
            queue is full; `stopping`: the server stops without doing it; `failed` has an error.
        observed: with `done` only.
        error: what happened and what to do, with `busy`, `stopping` and `failed`.
        retry: whether another attempt can succeed.
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
        """Read the reply that `to_dict` wrote about this capture.

        Raises:
            InferenceError: the form is wrong, or it is about another batch.
        """
        status: Any = values.get("status")
        if status not in get_args(Status):
            raise InferenceError(f"answer of the inference server: status {status!r} is unknown: {values.get('error')}")
        observed = Observed.from_dict(values.get("observed"), capture=capture) if status == "done" else None
        return cls(status, observed, str(values.get("error", "")), values.get("retry") is not False)


def to_line(values: Mapping[str, Any]) -> bytes:
    """Encode a message."""
    return json.dumps(values).encode() + b"\n"


def from_line(line: bytes) -> dict[str, Any]:
    """Decode a message.

    Raises:
        InferenceError: it is not a line of JSON that holds a mapping.
    """
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InferenceError(f"a message of {len(line)} bytes is not JSON, or nested too deep") from error
    if not isinstance(values, dict):
        raise InferenceError(f"a message must be a mapping, not {type(values).__name__}")
    return values
