"""Waiting for an artifact that another host has published."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from artifacts import ArtifactReference, ArtifactStore
from bay_observation.errors import ArtifactError, StoreUnavailableError, WrongArtifactError
from triggers.events import ArtifactEvent

_ONE_LOOK = 5.0  # seconds
# A file that is shorter than published and has not grown for so long is cut off, not being written.
_SETTLED = 3.0  # seconds


class ArtifactTrigger(BaseTrigger):
    """Fires once an artifact is readable and whole on this host, or at its deadline.

    It waits for a file that is absent or being written, and while the store fails. Where a
    file is there that is not what was published, it fires at once with `wrong`.

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
        except WrongArtifactError as error:
            event = ArtifactEvent("wrong", reference, str(error))
        except ArtifactError as error:
            event = ArtifactEvent("failed", reference, str(error))
        if event.error:
            self.log.error("%s", event.error)
        yield TriggerEvent(event.to_dict())

    async def _wait_for(self, reference: ArtifactReference) -> ArtifactEvent:
        store = ArtifactStore()
        arrival = Arrival(store, reference)
        while True:
            # At least one honest look, also when this trigger was taken over late.
            left = (self.deadline - datetime.now(UTC)).total_seconds()
            try:
                async with asyncio.timeout(max(left, _ONE_LOOK)):
                    # Where the mount hangs the store says so, and gives the thread back.
                    if await asyncio.to_thread(arrival.is_whole):
                        return ArtifactEvent("whole", reference)
            except TimeoutError:
                left = 0
            if left <= 0:
                break
            await asyncio.sleep(min(self.poll_interval, left))
        reason = (
            f"{store.where(reference)}: not readable and whole on this host until"
            f" {self.deadline:%Y-%m-%d %H:%M:%S} UTC: is the shared storage mounted here?"
        )
        return ArtifactEvent("timed_out", reference, reason)


class Arrival:
    """The arrival of one artifact on this host, looked at again and again.

    Args:
        store: in which it appears.
        reference: to it.
    """

    def __init__(self, store: ArtifactStore, reference: ArtifactReference) -> None:
        self._store, self._reference = store, reference
        self._size: int | None = None
        self._since = time.monotonic()

    @property
    def began(self) -> bool:
        """Whether the last look found a part of the file."""
        return self._size is not None

    def is_whole(self) -> bool:
        """Look once. False while the file is absent or grows, and while the store fails.

        Raises:
            WrongArtifactError: what is there is not what was published, or was cut off.
        """
        try:
            size = self._store.readable_size(self._reference)
        except StoreUnavailableError:
            size = None
        if size != self._size:
            self._size, self._since = size, time.monotonic()
        if size is None or size >= self._reference.size:
            return size is not None
        if time.monotonic() - self._since >= _SETTLED:
            raise WrongArtifactError(
                f"{self._store.where(self._reference)}: truncated: {size} bytes where {self._reference.size} were"
                f" published, and it has not grown for {_SETTLED:g} s: run its stage again"
            )
        return False
