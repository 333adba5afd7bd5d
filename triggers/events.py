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
        status: CaptureStatus = _status(where, payload, get_args(CaptureStatus), CaptureError)
        if payload.get("batch_id") != batch_id:
            raise CaptureError(f"{where}: it tells of batch {payload.get('batch_id')!r}")
        counts = _counts(where, payload, ("images",) if status == "captured" else (), CaptureError)
        failures = _failures(where, payload, CaptureError)
        reference = None
        if status == "captured":
            reference = _reference_to(("capture", bay_id, batch_id), where, payload, CaptureError)
        return cls(status, batch_id, reference, counts, failures, str(payload.get("error", "")), _retry(payload))


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
        status: ArtifactStatus = _status(where, payload, get_args(ArtifactStatus), ArtifactError)
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
        status: InferenceStatus = _status(where, payload, get_args(InferenceStatus), InferenceError)
        if payload.get("capture_sha256") != capture.sha256:
            raise InferenceError(f"{where}: it tells of another capture, {payload.get('capture_sha256')!r}")
        if status != "observed":
            return cls(status, capture.sha256, error=str(payload.get("error", "")), retry=_retry(payload))
        counts = _counts(where, payload, ("frames", "objects"), InferenceError)
        failures = _failures(where, payload, InferenceError)
        reference = _reference_to(("observation", capture.bay_id, capture.batch_id), where, payload, InferenceError)
        return cls(status, capture.sha256, reference, counts, failures)


_Refusal = type[CaptureError] | type[ArtifactError] | type[InferenceError]


def _mapping(where: str, values: object, error: _Refusal) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise error(f"{where}: {type(values).__name__} where a mapping is wanted")
    return values


def _status(where: str, payload: Mapping[str, Any], known: tuple[str, ...], error: _Refusal) -> Any:
    status = payload.get("status")
    if status not in known:
        raise error(f"{where}: status {status!r} is none of {', '.join(known)}")
    return status


def _counts(where: str, payload: Mapping[str, Any], wanted: tuple[str, ...], error: _Refusal) -> dict[str, int]:
    counts = dict(_mapping(f"{where}: counts", payload.get("counts"), error))
    if any(type(count) is not int or count < 0 for count in counts.values()):
        raise error(f"{where}: counts {counts!r} are no whole numbers")
    missing = [name for name in wanted if name not in counts]
    if missing:
        raise error(f"{where}: it does not count the {' and '.join(missing)}")
    return counts


def _failures(where: str, payload: Mapping[str, Any], error: _Refusal) -> dict[str, str]:
    failures = dict(_mapping(f"{where}: failures", payload.get("failures"), error))
    if any(not isinstance(reason, str) for reason in failures.values()):
        raise error(f"{where}: failures {failures!r} are no reasons by camera")
    return failures


def _retry(payload: Mapping[str, Any]) -> bool:
    return payload.get("retry", True) is not False


def _reference(where: str, values: object, error: _Refusal) -> ArtifactReference:
    try:
        return ArtifactReference.from_dict(_mapping(f"{where}: reference", values, error))
    except ArtifactError as fault:
        raise error(f"{where}: {fault}") from fault


def _reference_to(
    wanted: tuple[str, str, str], where: str, payload: Mapping[str, Any], error: _Refusal
) -> ArtifactReference:
    """The payload's reference, which must be to this stage, bay and batch."""
    reference = _reference(where, payload.get("reference"), error)
    if (reference.stage, reference.bay_id, reference.batch_id) != wanted:
        raise error(f"{where}: its reference is to {reference.path}")
    return reference
