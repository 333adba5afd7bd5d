"""What a trigger tells the task that it wakes: small, typed, and checked again on arrival.

Airflow writes event payloads to the log and the metadata database, so they hold
references and reasons, never frames and never credentials.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from artifacts import ArtifactReference
from bay_observation.errors import ArtifactError, CaptureError, InferenceError

CaptureStatus = Literal["captured", "below_quorum", "failed"]
ArtifactStatus = Literal["whole", "timed_out", "failed"]
InferenceStatus = Literal["observed", "no_server", "timed_out", "failed"]


@dataclass(frozen=True)
class CaptureEvent:
    """How a bay's capture of one slot ended.

    Attributes:
        status: `captured` has a published artifact; `below_quorum` has too few frames
            to publish; `failed` has an error.
        batch_id: the batch that was captured.
        reference: the capture artifact, with `captured` only.
        counts: `cameras` asked, `images` taken, `failures`.
        failures: reason by name of each camera without a frame.
        error: what went wrong, with `failed` only.
        retry: whether trying again can mend it.
    """

    status: CaptureStatus
    batch_id: str
    reference: ArtifactReference | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    retry: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values for Airflow's `TriggerEvent`."""
        payload: dict[str, Any] = {
            "status": self.status,
            "batch_id": self.batch_id,
            "counts": dict(self.counts),
            "failures": dict(self.failures),
        }
        if self.reference is not None:
            payload["reference"] = self.reference.to_dict()
        if self.status == "failed":
            payload |= {"error": self.error, "retry": self.retry}
        return payload

    @classmethod
    def from_dict(cls, values: object, *, bay_id: str, batch_id: str) -> Self:
        """The event that `to_dict` wrote, for this batch and no other.

        Raises:
            CaptureError: the payload is of the wrong form, or of another batch.
        """
        where = f"event of capture {batch_id}"
        payload = _mapping(where, values, CaptureError)
        status = payload.get("status")
        if status not in get_args(CaptureStatus):
            raise CaptureError(f"{where}: status {status!r} is none of {', '.join(get_args(CaptureStatus))}")
        if payload.get("batch_id") != batch_id:
            raise CaptureError(f"{where}: it tells of batch {payload.get('batch_id')!r}")
        counts = _mapping(f"{where}: counts", payload.get("counts"), CaptureError)
        failures = _mapping(f"{where}: failures", payload.get("failures"), CaptureError)
        if any(type(count) is not int or count < 0 for count in counts.values()):
            raise CaptureError(f"{where}: counts {dict(counts)!r} are no whole numbers")
        if any(not isinstance(reason, str) for reason in failures.values()):
            raise CaptureError(f"{where}: failures {dict(failures)!r} are no reasons by camera")
        reference = None
        if status == "captured":
            reference = _reference(where, payload.get("reference"), CaptureError)
            if (reference.stage, reference.bay_id, reference.batch_id) != ("capture", bay_id, batch_id):
                raise CaptureError(f"{where}: its reference is to {reference.path}")
            if "images" not in counts:
                raise CaptureError(f"{where}: it does not count the images")
        return cls(
            status,
            batch_id,
            reference,
            dict(counts),
            dict(failures),
            str(payload.get("error", "")),
            payload.get("retry", True) is not False,
        )


@dataclass(frozen=True)
class ArtifactEvent:
    """How waiting for an artifact ended; `error` says why it is not `whole`."""

    status: ArtifactStatus
    reference: ArtifactReference
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for Airflow's `TriggerEvent`."""
        return {"status": self.status, "reference": self.reference.to_dict(), "error": self.error}

    @classmethod
    def from_dict(cls, values: object, *, expected: ArtifactReference) -> Self:
        """The event that `to_dict` wrote, for the artifact that was waited for.

        Raises:
            ArtifactError: the payload is of the wrong form, or of another artifact.
        """
        where = f"event of waiting for {expected.path}"
        payload = _mapping(where, values, ArtifactError)
        status = payload.get("status")
        if status not in get_args(ArtifactStatus):
            raise ArtifactError(f"{where}: status {status!r} is none of {', '.join(get_args(ArtifactStatus))}")
        reference = _reference(where, payload.get("reference"), ArtifactError)
        if reference != expected:
            raise ArtifactError(f"{where}: it tells of {reference.path}, sha256 {reference.sha256[:8]}")
        return cls(status, reference, str(payload.get("error", "")))


@dataclass(frozen=True)
class InferenceEvent:
    """How waiting for the inference server ended.

    Attributes:
        status: `observed` has the artifact; `no_server` means that it ended before it was
            done; `timed_out` and `failed` have an error.
        capture_sha256: of the capture that was to be observed.
        reference: the Observation artifact, with `observed` only.
        counts: `frames` that were looked at, `objects` found in them, with `observed` only.
        failures: why, by name of each camera without a usable frame.
        error: what went wrong.
        retry: whether trying again can mend it.
    """

    status: InferenceStatus
    capture_sha256: str
    reference: ArtifactReference | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    retry: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values for Airflow's `TriggerEvent`."""
        payload: dict[str, Any] = {"status": self.status, "capture_sha256": self.capture_sha256}
        if self.reference is not None:
            payload |= {
                "reference": self.reference.to_dict(),
                "counts": dict(self.counts),
                "failures": dict(self.failures),
            }
        else:
            payload |= {"error": self.error, "retry": self.retry}
        return payload

    @classmethod
    def from_dict(cls, values: object, *, capture: ArtifactReference) -> Self:
        """The event that `to_dict` wrote, for this capture and no other.

        Raises:
            InferenceError: the payload is of the wrong form, or of another capture.
        """
        where = f"event of inference {capture.batch_id}"
        payload = _mapping(where, values, InferenceError)
        status = payload.get("status")
        if status not in get_args(InferenceStatus):
            raise InferenceError(f"{where}: status {status!r} is none of {', '.join(get_args(InferenceStatus))}")
        if payload.get("capture_sha256") != capture.sha256:
            raise InferenceError(f"{where}: it tells of another capture, {payload.get('capture_sha256')!r}")
        if status != "observed":
            retry = payload.get("retry", True) is not False
            return cls(status, capture.sha256, error=str(payload.get("error", "")), retry=retry)
        counts = _mapping(f"{where}: counts", payload.get("counts"), InferenceError)
        if any(type(counts.get(name)) is not int or counts[name] < 0 for name in ("frames", "objects")):
            raise InferenceError(f"{where}: counts {dict(counts)!r} are no whole numbers")
        failures = _mapping(f"{where}: failures", payload.get("failures"), InferenceError)
        if any(not isinstance(reason, str) for reason in failures.values()):
            raise InferenceError(f"{where}: failures {dict(failures)!r} are no reasons by camera")
        reference = _reference(where, payload.get("reference"), InferenceError)
        if (reference.stage, reference.bay_id, reference.batch_id) != (
            "observation",
            capture.bay_id,
            capture.batch_id,
        ):
            raise InferenceError(f"{where}: its reference is to {reference.path}")
        return cls(status, capture.sha256, reference, dict(counts), dict(failures))


_Refusal = type[CaptureError] | type[ArtifactError] | type[InferenceError]


def _mapping(where: str, values: object, error: _Refusal) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise error(f"{where}: {type(values).__name__} where a mapping is wanted")
    return values


def _reference(where: str, values: object, error: _Refusal) -> ArtifactReference:
    try:
        return ArtifactReference.from_dict(_mapping(f"{where}: reference", values, error))
    except ArtifactError as fault:
        raise error(f"{where}: {fault}") from fault
