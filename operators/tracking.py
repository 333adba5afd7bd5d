"""process_tracking: what the floor shows becomes tracks and events, on the processor."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowSkipException

from artifacts import ArtifactReference, ArtifactStore
from bay_observation.errors import ConfigError, LateBatchError
from bays import BayConfig, load_bay, slot_of
from operators._common import FROM_CONF, task_errors
from operators._history import open_history
from operators._notify import deliver, tracking_alias
from operators._stage import StageOperator

if TYPE_CHECKING:
    from tracking import TrackEvent


class TrackingOperator(StageOperator):
    """Tracks the batch in slot order, exactly once, also when batches are retried, repeated or late.

    The batch's artifact and the history (`tracking.history`) hold the same; see
    `tracking.ledger` for how, and `operators._history` for where the history is. After that
    the bay's notifiers get its pending notices, and an asset event on `tracking://{bay_id}`
    is made if there are any; see `operators._notify`.

    Args:
        bay_id: the bay; no template.
        reference: the fusion artifact's reference, see `StageOperator`.
        wait: the least that a try waits for its input, see `StageOperator`.
        poll_interval: seconds between two looks while it waits.
        deferrable: wait in a triggerer of the task's queue; otherwise in the worker.
        outlets: further assets than the bay's own.
        kwargs: of `BaseOperator`. `execution_timeout` bounds a whole try, its waiting included.

    Raises:
        ConfigError: `bay_id` is a template or an XComArg: the task's outlet is fixed before those are known.
    """

    template_fields: Sequence[str] = ("reference",)
    takes = "fusion"

    def __init__(
        self,
        *,
        bay_id: str,
        reference: Any = FROM_CONF,
        wait: timedelta = timedelta(minutes=9),
        poll_interval: float = 2.0,
        deferrable: bool = True,
        outlets: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        if not isinstance(bay_id, str) or "{{" in bay_id or "{%" in bay_id:
            raise ConfigError(
                f"TrackingOperator: bay_id {bay_id!r} is a template; its outlet names the bay, and outlets are"
                " fixed when the DAG is parsed: write the bay's id, or make one task for each bay"
            )
        super().__init__(
            bay_id=bay_id,
            reference=reference,
            wait=wait,
            poll_interval=poll_interval,
            deferrable=deferrable,
            outlets=[*outlets, tracking_alias(bay_id)],
            **kwargs,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Track the batch, or defer until its artifact is there; then deliver notices."""
        return self._delivered(super().execute(context), context)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Track the batch that was waited for; then deliver notices."""
        return self._delivered(super().execute_complete(context, event), context)

    def process(self, reference: ArtifactReference, bay: BayConfig, store: ArtifactStore) -> dict[str, Any]:
        """Blocks on the floor in, tracks and events out."""
        from tracking.ledger import track

        try:
            with open_history() as history:
                outcome = track(store, bay, reference, history)
        except LateBatchError as error:
            # No try can mend it, and no later batch waits for it: the history keeps what it has.
            self.log.warning("%s", error)
            raise AirflowSkipException(str(error)) from error
        if outcome.seam:
            self.log.warning("%s: the tracker went on from the history: %s", reference.batch_id, outcome.seam)
        if outcome.replayed:
            self.log.info("late or changed batch: %d later batches tracked again", outcome.replayed)
        for event in outcome.result.events:
            self.log.info("event: %s", _described(event))
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

    def _delivered(self, pushed: dict[str, Any], context: Context) -> dict[str, Any]:
        with task_errors(), open_history() as history:
            deliveries = deliver(history, load_bay(self.bay_id), slot_of(pushed["batch_id"]), context)
        return {
            **pushed,
            "notified_count": deliveries.notified,
            "published_count": deliveries.published,
            "waiting_count": deliveries.waiting,
        }


def _described(event: "TrackEvent") -> str:
    words = [f"{event.kind} {event.track_id} at {event.time:%Y-%m-%d %H:%M} UTC"]
    for what, before, after in (
        ("area", event.from_area, event.to_area),
        ("stage", event.from_stage, event.to_stage),
    ):
        if before or after:
            words.append(f"{what} {before or '–'} → {after or '–'}")
    if event.others:
        words.append(f"with {', '.join(event.others)}")
    return ", ".join(words)
