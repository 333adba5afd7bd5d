"""Waiting for an artifact that another host has published."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from artifacts import ArtifactReference, ArtifactStore
from bay_observation.errors import ArtifactError
from triggers.events import ArtifactEvent

_ONE_LOOK = 5.0  # seconds


class ArtifactTrigger(BaseTrigger):
    """Fires once an artifact is readable and whole on this host, or at its deadline.

    Args:
        reference: what `ArtifactReference.to_dict` wrote.
        deadline: when to give up (aware). An instant, so that a triggerer that starts
            this trigger again does not start the waiting again.
        poll_interval: seconds between two looks at the file.
    """

    def __init__(self, *, reference: Mapping[str, Any], deadline: datetime, poll_interval: float = 2.0) -> None:
        super().__init__()
        self.reference = dict(reference)
        self.deadline = deadline
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Classpath and keyword arguments from which a triggerer builds this trigger."""
        return (
            "triggers.artifact.ArtifactTrigger",
            {"reference": self.reference, "deadline": self.deadline, "poll_interval": self.poll_interval},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the file is whole; yields one event in every case."""
        reference = ArtifactReference.from_dict(self.reference)
        try:
            event = await self._wait_for(reference)
        except ArtifactError as error:
            event = ArtifactEvent("failed", reference, str(error))
        if event.error:
            self.log.error("%s", event.error)
        yield TriggerEvent(event.to_dict())

    async def _wait_for(self, reference: ArtifactReference) -> ArtifactEvent:
        store = ArtifactStore()
        while True:
            # At least one honest look, also when this trigger was taken over late.
            left = (self.deadline - datetime.now(UTC)).total_seconds()
            try:
                async with asyncio.timeout(max(left, _ONE_LOOK)):
                    # Where the mount hangs the store says so, and gives the thread back.
                    if await asyncio.to_thread(store.is_whole, reference):
                        return ArtifactEvent("whole", reference)
            except TimeoutError:
                left = 0
            if left <= 0:
                break
            await asyncio.sleep(min(self.poll_interval, left))
        reason = (
            f"{store.where(reference)}: not readable and whole on this host until"
            f" {self.deadline:%Y-%m-%d %H:%M:%S} UTC: is the shared storage mounted here,"
            " and was the artifact not replaced by a later run of its stage?"
        )
        return ArtifactEvent("timed_out", reference, reason)
