"""run_inference: frames to an Observation, on the observer."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from artifacts import ArtifactReference, ArtifactStore
from bays import BayConfig, load_bay
from operators._common import FROM_CONF, captured, fired_here, task_errors
from operators._stage import TRIGGERER_GRACE, StageOperator
from triggers import InferenceTrigger
from triggers.events import InferenceEvent
from triggers.stats import airflow_stats

if TYPE_CHECKING:
    from inference.serving import Reply


class InferenceOperator(StageOperator):
    """Detects, segments and classifies what is in the batch's frames.

    Where a warm server has the bay's models (`bay-observation models serve`), the batch is handed
    to it and the task defers to `InferenceTrigger`: it holds no worker while the models run.
    Without a server, and where it ends before the batch is done, the task runs the models
    itself; a batch is done either way, and its log says which.

    Args:
        bay_id: the bay.
        reference: the capture artifact's reference, see `StageOperator`.
        wait: the least that a try waits for its input, see `StageOperator`.
        poll_interval: seconds between two looks while it waits.
        server_wait: how long the server may take, its queue included; then the task fails
            and is retried, and finds the batch done if the server did it meanwhile.
        deferrable: wait in a triggerer of the task's queue; otherwise in the worker.
        kwargs: of `BaseOperator`. `execution_timeout` bounds a whole try, its waiting included.
    """

    takes = "capture"

    def __init__(
        self,
        *,
        bay_id: str,
        reference: Any = FROM_CONF,
        wait: timedelta = timedelta(minutes=9),
        poll_interval: float = 2.0,
        server_wait: timedelta = timedelta(minutes=9),
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            bay_id=bay_id,
            reference=reference,
            wait=wait,
            poll_interval=poll_interval,
            deferrable=deferrable,
            **kwargs,
        )
        self.server_wait = server_wait

    def _input(self, context: Context) -> ArtifactReference:
        return captured(self.bay_id, self.reference, context) or super()._input(context)

    def process(self, reference: ArtifactReference, bay: BayConfig, store: ArtifactStore) -> dict[str, Any]:
        """Hand the batch to the bay's server and defer, or do it here."""
        reply = self._hand_in(reference)
        if reply is None:
            return self._in_this_process(reference, bay, store)
        if reply.status in ("accepted", "busy"):
            self.log.info("the inference server has the batch: %s", reply.error or reply.status)
            return self._answered(self._wait_for_server(reference), reference)
        if reply.observed is None:
            raise _failure(reply.error, retry=reply.retry)
        # Without a deferral: it could be over before Airflow has seen that it began.
        self.log.info("the inference server has done the batch before")
        observed = reply.observed
        return self._pushed(store, observed.reference, observed.frames, observed.objects, observed.failures)

    def take_over(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Check the trigger's event; push the Observation's reference, or do the batch here."""
        with task_errors():
            return self._answered(event, self._input(context))

    def _wait_for_server(self, reference: ArtifactReference) -> Mapping[str, Any]:
        """The event of the waiting; does not return where the task defers."""
        wait = self._at_most(self.server_wait)
        trigger = InferenceTrigger(capture=reference.to_dict(), deadline=datetime.now(UTC) + wait)
        if self.deferrable:
            self.defer(trigger=trigger, method_name="take_over", timeout=wait + TRIGGERER_GRACE)
        return fired_here(trigger)

    def _answered(self, event: Mapping[str, Any], reference: ArtifactReference) -> dict[str, Any]:
        answer = InferenceEvent.from_dict(event, capture=reference)
        store = ArtifactStore()
        if answer.status == "no_server":
            self.log.warning("%s", answer.error)
            return self._in_this_process(reference, load_bay(self.bay_id), store)
        if answer.reference is None:
            raise _failure(answer.error, retry=answer.retry)
        counts = answer.counts
        return self._pushed(store, answer.reference, counts["frames"], counts["objects"], answer.failures)

    def _hand_in(self, reference: ArtifactReference) -> "Reply | None":
        from inference.serving import InferenceClient, NoServerError

        try:
            reply = asyncio.run(InferenceClient(self.bay_id).submit(reference))
        except NoServerError as error:
            self.log.info("%s", error)
            return None
        if reply.status == "stopping":
            self.log.info("%s", reply.error)
            return None
        return reply

    def _in_this_process(self, reference: ArtifactReference, bay: BayConfig, store: ArtifactStore) -> dict[str, Any]:
        from inference.metrics import report_inference
        from inference.serving import observe_capture

        self.log.info("the models run in this task")
        observed = observe_capture(reference, bay, store)
        report_inference(airflow_stats(), observed, "task")
        return self._pushed(store, observed.reference, observed.frames, observed.objects, observed.failures)

    def _pushed(
        self,
        store: ArtifactStore,
        published: ArtifactReference,
        frames: int,
        objects: int,
        failures: Mapping[str, str],
    ) -> dict[str, Any]:
        if not store.is_whole(published):
            raise AirflowException(
                f"{store.where(published)}: the inference server published it, and it is not whole here:"
                " do server and worker have the same DATA_PATH?"
            )
        for camera, reason in failures.items():
            self.log.warning("nothing seen by camera %s: %s", camera, reason)
        self.log.info("%s: %d objects in %d frames", published.path, objects, frames)
        return {**published.to_dict(), "processed_count": frames, "object_count": objects}


def _failure(reason: str, *, retry: bool) -> AirflowException:
    return (AirflowException if retry else AirflowFailException)(reason)
