"""process_tracking: what the floor shows becomes tracks and events, on the processor."""

from typing import Any

from artifacts import ArtifactReference, ArtifactStore
from bays import BayConfig
from operators._history import open_history
from operators._stage import StageOperator


class TrackingOperator(StageOperator):
    """Tracks the batch in slot order, exactly once, whatever is retried, repeated or late.

    The batch's artifact and the history (`tracking.history`) tell the same; see
    `operators._tracking_ledger` for how, and `operators._history` for where the history is.
    """

    takes = "fusion"

    def process(self, reference: ArtifactReference, bay: BayConfig, store: ArtifactStore) -> dict[str, Any]:
        """Blocks on the floor in, tracks and events out."""
        from operators._tracking_ledger import track

        with open_history() as history:
            outcome = track(store, bay, reference, history)
        if outcome.replayed:
            self.log.info("late or changed batch: %d later batches tracked again", outcome.replayed)
        for event in outcome.result.events:
            self.log.info("event: %s", event)
        self.log.info(
            "%s: %d tracks, %d events",
            outcome.reference.path,
            len(outcome.result.tracks),
            len(outcome.result.events),
        )
        return {
            **outcome.reference.to_dict(),
            "track_count": len(outcome.result.tracks),
            "event_count": len(outcome.result.events),
            "replayed_count": outcome.replayed,
        }
