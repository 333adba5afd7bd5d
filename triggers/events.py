"""The event with which a trigger resumes its task: small, typed, and checked again on arrival.

Airflow writes event payloads to the log and the metadata database, so they hold
references and reasons, never frames and never credentials.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from artifacts import ArtifactReference, Stage
from bay_observation.errors import ArtifactError, BayObservationError, CaptureError, InferenceError

CaptureStatus = Literal["captured", "below_quorum", "outside_window", "failed"]
ArtifactStatus = Literal["whole", "timed_out", "wrong", "failed"]
SlotStatus = Literal["there", "never", "timed_out", "failed"]
InferenceStatus = Literal["observed", "no_server", "timed_out", "failed"]


@dataclass(frozen=True)
class CaptureEvent:
    """How a bay's capture of one slot ended.

    Attributes:
        status: `captured` has a published artifact; `below_quorum` has too few frames
            to publish; `outside_window` asked no camera, since the slot may not be captured now;
            it and `failed` have an error.
        batch_id: the batch that was captured.
        reference: the capture artifact, with `captured` only.
        counts: `cameras` asked, `images` taken, `failures`.
        failures: reason by name of each camera without a frame.
        lateness_s: how long after the slot the frames were taken, seconds (the median); None where not known.
        spread_s: how far the frames of the batch are apart, seconds; None where not known.
        error: what went wrong, or why no camera was asked.
        retry: whether trying again can mend it.
    """

    status: CaptureStatus
    batch_id: str
    reference: ArtifactReference | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    lateness_s: float | None = None
    spread_s: float | None = None
    error: str = ""
    retry: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values for Airflow's `TriggerEvent`."""
        payload: dict[str, Any] = {
            "status": self.status,
            "batch_id": self.batch_id,
            "counts": dict(self.counts),
            "failures": dict(self.failures),
            "lateness_s": self.lateness_s,
            "spread_s": self.spread_s,
        }
        if self.reference is not None:
            payload["reference"] = self.reference.to_dict()
        if self.error:
            payload |= {"error": self.error, "retry": self.retry}
        return payload

    @classmethod
    def from_dict(cls, values: object, *, bay_id: str, batch_id: str) -> Self:
        """The event that `to_dict` wrote, for this batch and no other.

        Raises:
            CaptureError: the payload is of the wrong form, or of another batch.
        """
        payload = _Payload(f"event of capture {batch_id}", values, CaptureError)
        status: CaptureStatus = payload.status(get_args(CaptureStatus))
        payload.require("batch_id", batch_id)
        captured = status == "captured"
        return cls(
            status,
            batch_id,
            payload.reference_to("capture", bay_id, batch_id) if captured else None,
            payload.counts("images") if captured else payload.counts(),
            payload.failures(),
            payload.seconds("lateness_s"),
            payload.seconds("spread_s"),
            payload.error,
            payload.retry,
        )


@dataclass(frozen=True)
class ArtifactEvent:
    """How waiting for an artifact ended; `error` says why it is not `whole`.

    With `wrong` a file is there that is not what was published: waiting again does not help.
    """

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
        payload = _Payload(f"event of waiting for {expected.path}", values, ArtifactError)
        status: ArtifactStatus = payload.status(get_args(ArtifactStatus))
        if (reference := payload.reference()) != expected:
            raise payload.refused(f"it is of {reference.path}, sha256 {reference.sha256[:8]}")
        return cls(status, reference, payload.error)


@dataclass(frozen=True)
class SlotEvent:
    """How waiting for something of a slot ended.

    Attributes:
        status: `there` has what was found; `never` says that it will not come, `timed_out` that it did not
            come in time, `failed` that it cannot be looked for.
        batch_id: the slot's batch.
        found: what the waiting task pushes as XCom, with `there` only.
        error: why not.
    """

    status: SlotStatus
    batch_id: str
    found: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for Airflow's `TriggerEvent`."""
        return {"status": self.status, "batch_id": self.batch_id, "found": dict(self.found), "error": self.error}

    @classmethod
    def from_dict(cls, values: object, *, batch_id: str) -> Self:
        """The event that `to_dict` wrote, for this batch and no other.

        Raises:
            ArtifactError: the payload is of the wrong form, or of another batch.
        """
        payload = _Payload(f"event of waiting for {batch_id}", values, ArtifactError)
        status: SlotStatus = payload.status(get_args(SlotStatus))
        payload.require("batch_id", batch_id)
        return cls(status, batch_id, payload.mapping("found"), payload.error)


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
        payload = _Payload(f"event of inference {capture.batch_id}", values, InferenceError)
        status: InferenceStatus = payload.status(get_args(InferenceStatus))
        payload.require("capture_sha256", capture.sha256)
        if status != "observed":
            return cls(status, capture.sha256, error=payload.error, retry=payload.retry)
        reference = payload.reference_to("observation", capture.bay_id, capture.batch_id)
        counts = payload.counts("frames", "objects")
        return cls(status, capture.sha256, reference, counts, payload.failures())


class _Payload:
    """An event's values as they arrive; each is checked when it is read.

    Args:
        event: what the event is of, for messages.
        values: the payload.
        error: raised where the payload is of the wrong form, or of another batch.
    """

    def __init__(
        self, event: str, values: object, error: type[CaptureError] | type[ArtifactError] | type[InferenceError]
    ) -> None:
        self._event, self._error = event, error
        self._values = self._mapping(values)

    def refused(self, why: str) -> BayObservationError:
        return self._error(f"{self._event}: {why}")

    def status(self, known: tuple[str, ...]) -> Any:
        status = self._values.get("status")
        if status not in known:
            raise self.refused(f"status {status!r} is none of {', '.join(known)}")
        return status

    def require(self, key: str, expected: str) -> None:
        if (found := self._values.get(key)) != expected:
            raise self.refused(f"its {key} is {found!r}, not {expected!r}")

    def counts(self, *needed: str) -> dict[str, int]:
        counts = dict(self._mapping(self._values.get("counts"), "counts: "))
        if any(type(count) is not int or count < 0 for count in counts.values()):
            raise self.refused(f"counts {counts!r} are no whole numbers")
        if missing := [name for name in needed if name not in counts]:
            raise self.refused(f"it does not count the {' and '.join(missing)}")
        return counts

    def failures(self) -> dict[str, str]:
        failures = dict(self._mapping(self._values.get("failures"), "failures: "))
        if any(not isinstance(reason, str) for reason in failures.values()):
            raise self.refused(f"failures {failures!r} are no reasons by camera")
        return failures

    def mapping(self, key: str) -> Mapping[str, Any]:
        return dict(self._mapping(self._values.get(key), f"{key}: "))

    def seconds(self, key: str) -> float | None:
        value = self._values.get(key)
        if value is not None and type(value) not in (int, float):
            raise self.refused(f"its {key} is {value!r}, no number of seconds")
        return value

    def reference(self) -> ArtifactReference:
        try:
            return ArtifactReference.from_dict(self._mapping(self._values.get("reference"), "reference: "))
        except ArtifactError as fault:
            raise self.refused(str(fault)) from fault

    def reference_to(self, stage: Stage, bay_id: str, batch_id: str) -> ArtifactReference:
        reference = self.reference()
        if (reference.stage, reference.bay_id, reference.batch_id) != (stage, bay_id, batch_id):
            raise self.refused(f"its reference is to {reference.path}")
        return reference

    @property
    def error(self) -> str:
        return str(self._values.get("error", ""))

    @property
    def retry(self) -> bool:
        return self._values.get("retry", True) is not False

    def _mapping(self, values: object, what: str = "") -> Mapping[str, Any]:
        if not isinstance(values, Mapping):
            raise self.refused(f"{what}{type(values).__name__} where a mapping is wanted")
        return values
