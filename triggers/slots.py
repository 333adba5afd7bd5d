"""Waiting for something of a slot: an artifact that is published, or the slot in the history."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from artifacts import ArtifactStore, Stage, data_path
from bay_observation.errors import (
    BayObservationError,
    HistoryError,
    HistoryUnavailableError,
    NeverTrackedError,
    StoreUnavailableError,
)
from bays import load_bay, slot_of
from triggers.events import SlotEvent
from triggers.history_address import history_url

_ONE_LOOK = 10.0  # seconds


class _SlotTrigger(BaseTrigger):
    """Fires once when something of a slot is there, will never come, or at its deadline.

    Args:
        bay_id: the bay.
        batch_id: `bays.batch_id` of the slot.
        deadline: when to give up (aware). An instant, so that a triggerer that starts
            this trigger again does not start the waiting again.
        poll_interval: seconds between two looks.
    """

    def __init__(self, *, bay_id: str, batch_id: str, deadline: datetime, poll_interval: float = 10.0) -> None:
        super().__init__()
        self.bay_id = bay_id
        self.batch_id = batch_id
        self.deadline = deadline
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Classpath and keyword arguments from which a triggerer builds this trigger."""
        return (
            f"triggers.slots.{type(self).__name__}",
            {
                "bay_id": self.bay_id,
                "batch_id": self.batch_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until it is there; yields one event in every case."""
        try:
            event = await self._wait()
        except NeverTrackedError as error:
            event = SlotEvent("never", self.batch_id, error=str(error))
        except BayObservationError as error:
            event = SlotEvent("failed", self.batch_id, error=str(error))
        if event.error:
            self.log.error("%s", event.error)
        yield TriggerEvent(event.to_dict())

    async def _wait(self) -> SlotEvent:
        last = "it is not there"
        while True:
            # At least one honest look, also when this trigger was taken over late.
            left = (self.deadline - datetime.now(UTC)).total_seconds()
            try:
                async with asyncio.timeout(max(left, _ONE_LOOK)):
                    found = await self._look()
                if found is not None:
                    return SlotEvent("there", self.batch_id, found)
            except TimeoutError:
                last = "the last look was not answered"
            except (StoreUnavailableError, HistoryUnavailableError) as error:
                last = str(error)  # it may be mended before the deadline
            if left <= 0:
                reason = f"{self.batch_id}: waited until {self.deadline:%Y-%m-%d %H:%M:%S} UTC: {last}"
                return SlotEvent("timed_out", self.batch_id, error=reason)
            await asyncio.sleep(min(self.poll_interval, left))

    @abstractmethod
    async def _look(self) -> Mapping[str, Any] | None:
        """What is there now, as JSON types; None where it is not there yet."""


class PublishedTrigger(_SlotTrigger):
    """Fires once an artifact of a stage is published for a slot, with its reference.

    Args:
        stage: whose artifact.
    """

    def __init__(self, *, stage: Stage, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage: Stage = stage

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Classpath and keyword arguments from which a triggerer builds this trigger."""
        classpath, arguments = super().serialize()
        return classpath, {"stage": self.stage, **arguments}

    async def _look(self) -> Mapping[str, Any] | None:
        return await asyncio.to_thread(published, self.stage, self.bay_id, self.batch_id)


class TrackedTrigger(_SlotTrigger):
    """Fires once the history has tracked a slot, or says that it never will be."""

    async def _look(self) -> Mapping[str, Any] | None:
        url = await history_url()
        return await asyncio.to_thread(tracked, url, self.bay_id, self.batch_id)


def published(stage: Stage, bay_id: str, batch_id: str) -> dict[str, Any] | None:
    """The reference of what a stage has published for a batch, as JSON types; None while there is nothing.

    Raises:
        WrongArtifactError: what is published is damaged.
        StoreUnavailableError: the store fails.
    """
    found = ArtifactStore().find(stage, bay_id, batch_id)
    return None if found is None else found.to_dict()


def tracked(url: str | None, bay_id: str, batch_id: str) -> dict[str, Any] | None:
    """What the history says of a slot that is tracked, as JSON types; None while it may still come.

    Args:
        url: of the history's database; None for SQLite in the store.
        bay_id: the bay.
        batch_id: of the slot.

    Raises:
        NeverTrackedError: the bay is closed then, or the slot was skipped or withdrawn.
        HistoryUnavailableError: the history does not answer.
    """
    from tracking.history import BatchOutcome, History

    slot = slot_of(batch_id)
    try:
        with History(url) if url else History.at(data_path()) as history:
            batches = history.batches(bay_id, slot, slot + timedelta(microseconds=1))
    except HistoryUnavailableError:
        raise
    except HistoryError:
        batches = []  # nothing was ever tracked
    if not batches:
        if closed := load_bay(bay_id).closed(slot):
            raise NeverTrackedError(f"{batch_id} is not tracked: {closed}")
        return None
    (batch,) = batches
    if batch.sha256 is not None:
        return {"batch_id": batch_id, "track_count": batch.track_count, "event_count": batch.event_count}
    if batch.outcome in (BatchOutcome.SKIPPED, BatchOutcome.WITHDRAWN):
        raise NeverTrackedError(f"{batch_id} is not tracked: {batch.outcome}: {batch.reason}")
    return None
