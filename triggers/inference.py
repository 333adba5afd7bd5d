"""Waiting for the warm inference server of a bay, inside the triggerer on the bay's observer."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from artifacts import ArtifactReference
from bay_observation.errors import BayObservationError
from triggers.events import InferenceEvent
from triggers.stats import airflow_stats

if TYPE_CHECKING:
    from inference.serving import Observed

# A trigger that is taken over late may still find its batch done.
_ONE_QUESTION_S = 10.0


class InferenceTrigger(BaseTrigger):
    """Fires when the bay's inference server has observed a capture, or cannot.

    Run again by another triggerer it asks again: the server does a batch once, and answers
    every request for it. Cancelled, it leaves the batch to the server.

    Args:
        capture: what `ArtifactReference.to_dict` wrote.
        deadline: when to give up (aware). An instant, so that a triggerer that starts
            this trigger again does not start the waiting again.
        poll_interval: seconds until a server whose queue is full is asked again.
    """

    def __init__(self, *, capture: Mapping[str, Any], deadline: datetime, poll_interval: float = 5.0) -> None:
        super().__init__()
        self.capture = dict(capture)
        self.deadline = deadline
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Classpath and keyword arguments from which a triggerer builds this trigger."""
        return (
            "triggers.inference.InferenceTrigger",
            {"capture": self.capture, "deadline": self.deadline, "poll_interval": self.poll_interval},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the server's answer; one event in every case."""
        capture = ArtifactReference.from_dict(self.capture)
        try:
            event = await self._observe(capture)
        except BayObservationError as error:
            event = InferenceEvent("failed", capture.sha256, error=str(error))
        if event.error:
            self.log.error("%s", event.error)
        yield TriggerEvent(event.to_dict())

    async def _observe(self, capture: ArtifactReference) -> InferenceEvent:
        # numpy comes along: in a thread, not while the triggerer's loop waits.
        serving = await asyncio.to_thread(_serving)
        client = serving.InferenceClient(capture.bay_id)
        left = (self.deadline - datetime.now(UTC)).total_seconds()
        error = f"inference {capture.batch_id}: the server was not done until {self.deadline:%Y-%m-%d %H:%M:%S} UTC"
        try:
            async with asyncio.timeout(max(left, _ONE_QUESTION_S)):
                while (reply := await client.observe(capture)).status == "busy":
                    error = reply.error
                    self.log.warning("%s", error)
                    await asyncio.sleep(self.poll_interval)
        except TimeoutError:
            return InferenceEvent("timed_out", capture.sha256, error=error)
        except serving.NoServerError as gone:
            return InferenceEvent("no_server", capture.sha256, error=str(gone))
        if reply.observed is not None:
            return await _observed(capture, reply.observed)
        if reply.status == "failed":
            return InferenceEvent("failed", capture.sha256, error=reply.error, retry=reply.retry)
        return InferenceEvent("no_server", capture.sha256, error=reply.error)


async def _observed(capture: ArtifactReference, observed: "Observed") -> InferenceEvent:
    from inference.metrics import report_inference

    # In a thread: the first metric of a process looks its server's name up.
    await asyncio.to_thread(report_inference, airflow_stats(), observed, "server")
    counts = {"frames": observed.frames, "objects": observed.objects}
    return InferenceEvent("observed", capture.sha256, observed.reference, counts, observed.failures)


def _serving() -> Any:
    from inference import serving

    return serving
