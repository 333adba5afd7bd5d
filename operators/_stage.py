"""The common shape of a stage's task: wait for its input, process it, push a reference."""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from artifacts import ArtifactReference, ArtifactStore, Stage
from bays import BayConfig, load_bay, slot_of
from operators._common import FROM_CONF, fired_here, stage_reference, task_errors, within_execution_timeout
from operators._history import recording_outcome
from triggers import ArtifactTrigger
from triggers.artifact import Arrival
from triggers.events import ArtifactEvent

_LOOK_AGAIN = 0.5  # seconds
# Airflow's own timeout stands behind the trigger's deadline, for a triggerer that is away.
TRIGGERER_GRACE = timedelta(minutes=2)


class StageOperator(BaseOperator):
    """Runs one stage on an artifact that another host may have published a moment ago.

    While the artifact is absent from this host's mount or being written, the task defers to
    `ArtifactTrigger` and holds no worker. One that is there and wrong (damaged, foreign,
    replaced by a later run) fails the task at once and without a retry, so that the bay's next
    batch is not held up.

    Args:
        bay_id: the bay.
        reference: the input artifact's reference (an XComArg as a rule); one that turns out empty
            fails the task. By default the run's `conf` names it, see `operators._common.stage_reference`.
        wait: how long each try waits at least for the artifact to appear on this host. The bay's
            `storage.wait` is longer, and counts from the slot: a batch whose observer spooled it
            while the store was away is fused when it comes, and of many that never come the
            first does not hold up the last.
        poll_interval: seconds between two looks while waiting.
        deferrable: wait in a triggerer of the task's queue; otherwise in the worker.
        kwargs: of `BaseOperator`. `execution_timeout` bounds a whole try, its waiting included.
    """

    template_fields: Sequence[str] = ("bay_id", "reference")
    template_fields_renderers: ClassVar[dict[str, str]] = {"reference": "json"}
    takes: ClassVar[Stage]
    _began: datetime | None = None

    def __init__(
        self,
        *,
        bay_id: str,
        reference: Any = FROM_CONF,
        wait: timedelta = timedelta(minutes=9),
        poll_interval: float = 2.0,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bay_id = bay_id
        self.reference = reference
        self.wait = wait
        self.poll_interval = poll_interval
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """Process the artifact, or defer until it is there."""
        with task_errors():
            self._began = context["ti"].start_date
            reference = self._input(context)
            if not self._is_here(reference):
                self._check(self._wait_for(reference), reference)
            return self._run(reference)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Process the artifact that was waited for."""
        with task_errors():
            self._began = context["ti"].start_date  # of the try: a deferral does not change it
            reference = self._input(context)
            self._check(event, reference)
            return self._run(reference)

    def resume(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """As `execute_complete`: the name under which a task wakes that was deferred by version 0.1."""
        return self.execute_complete(context, event)

    @abstractmethod
    def process(self, reference: ArtifactReference, bay: BayConfig, store: ArtifactStore) -> dict[str, Any]:
        """Load the artifact, do the stage's work, publish, and return what XCom shall hold."""

    def _is_here(self, reference: ArtifactReference) -> bool:
        arrival = Arrival(ArtifactStore(), reference)
        while not arrival.is_whole():
            if not arrival.began:
                return False
            time.sleep(_LOOK_AGAIN)  # a file that is written or cut off: seconds decide which
        return True

    def _wait_for(self, reference: ArtifactReference) -> Mapping[str, Any]:
        """The event of the waiting; does not return where the task defers."""
        wait = self._at_most(self._patience(reference))
        self.log.info("%s is not on this host yet; waiting up to %s", reference.path, wait)
        trigger = ArtifactTrigger(
            reference=reference.to_dict(), deadline=datetime.now(UTC) + wait, poll_interval=self.poll_interval
        )
        if self.deferrable:
            self.defer(trigger=trigger, method_name="execute_complete", timeout=wait + TRIGGERER_GRACE)
        return fired_here(trigger)

    def _check(self, event: Mapping[str, Any], reference: ArtifactReference) -> None:
        arrived = ArtifactEvent.from_dict(event, expected=reference)
        if arrived.status != "whole":
            raise (AirflowFailException if arrived.status == "wrong" else AirflowException)(arrived.error)

    def _at_most(self, wait: timedelta) -> timedelta:
        return within_execution_timeout(wait, self.execution_timeout, self._began)

    def _patience(self, reference: ArtifactReference) -> timedelta:
        allowed = timedelta(seconds=load_bay(self.bay_id).storage.wait)
        since_slot = datetime.now(UTC) - slot_of(reference.batch_id)
        return max(self.wait, min(allowed, allowed - since_slot))

    def _input(self, context: Context) -> ArtifactReference:
        return stage_reference(self.reference, self.takes, self.bay_id, context)

    def _run(self, reference: ArtifactReference) -> dict[str, Any]:
        from tracking.history import BatchOutcome

        done, failed = {
            "capture": (BatchOutcome.INFERRED, BatchOutcome.INFERENCE_FAILED),
            "observation": (BatchOutcome.FUSED, BatchOutcome.FUSION_FAILED),
            "fusion": (None, BatchOutcome.TRACKING_FAILED),  # the ledger records what was tracked
        }[self.takes]
        with recording_outcome(self.bay_id, reference.batch_id, done, failed):
            return self.process(reference, load_bay(self.bay_id), ArtifactStore())
