"""Waiting for another run's work: for an artifact of a slot, or for a slot in the history."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, get_args

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from artifacts import Stage
from bay_observation.errors import ConfigError, HistoryUnavailableError, NeverTrackedError, StoreUnavailableError
from bays import batch_id
from operators._common import run_slot, slot_of_text, task_errors, within_execution_timeout
from operators._history import history_url
from triggers import PublishedTrigger, TrackedTrigger
from triggers.events import SlotEvent
from triggers.slots import published, tracked

# Airflow's own timeout stands behind the trigger's deadline, for a triggerer that is away.
_TRIGGERER_GRACE = timedelta(minutes=2)


class _SlotSensor(BaseSensorOperator):
    """Waits for something of one slot of a bay.

    Args:
        bay_id: the bay.
        slot: an aware datetime or its ISO text; by default the run's own slot, see `operators._common.run_slot`.
        deferrable: wait in a triggerer of the task's queue; otherwise in the worker, as `mode` says.
        poke_interval: seconds between two looks.
        timeout: for how long the task waits.
        kwargs: of `BaseSensorOperator`. With `soft_fail` what does not come skips the task.
    """

    template_fields: Sequence[str] = ("bay_id", "slot")

    def __init__(
        self,
        *,
        bay_id: str,
        slot: datetime | str | None = None,
        deferrable: bool = True,
        poke_interval: timedelta | float = 10.0,
        timeout: timedelta | float = timedelta(hours=1),
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.bay_id = bay_id
        self.slot = slot
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Push what is there, or wait for it."""
        if not self.deferrable:
            return super().execute(context)
        found = self._looked(context)
        if found is None:
            wait = within_execution_timeout(
                timedelta(seconds=self.timeout), self.execution_timeout, context["ti"].start_date
            )
            trigger = self._trigger(self._batch(context), datetime.now(UTC) + wait)
            self.defer(trigger=trigger, method_name="execute_complete", timeout=wait + _TRIGGERER_GRACE)
        return found

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Push what was waited for."""
        with task_errors():
            ended = SlotEvent.from_dict(event, batch_id=self._batch(context))
        if ended.status == "never":
            self._will_not_come(ended.error)
        if ended.status != "there":
            raise AirflowException(ended.error)
        return dict(ended.found)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once, in the worker."""
        found = self._looked(context)
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def _looked(self, context: Context) -> dict[str, Any] | None:
        try:
            with task_errors():
                return self._look(self._batch(context))
        except AirflowException as error:
            if isinstance(error.__cause__, NeverTrackedError):
                self._will_not_come(str(error))
            if isinstance(error.__cause__, StoreUnavailableError | HistoryUnavailableError):
                self.log.warning("%s", error)  # it may be mended before the time is over
                return None
            raise

    def _will_not_come(self, reason: str) -> NoReturn:
        # Not by way of `soft_fail` in Airflow's own code, which drops the reason.
        raise (AirflowSkipException if self.soft_fail else AirflowFailException)(reason)

    def _batch(self, context: Context) -> str:
        with task_errors():
            slot = run_slot(context) if self.slot is None else slot_of_text(self.slot)
            return batch_id(self.bay_id, slot)

    @abstractmethod
    def _look(self, batch: str) -> dict[str, Any] | None:
        """What is there now; None where it is not there yet."""

    @abstractmethod
    def _trigger(self, batch: str, deadline: datetime) -> PublishedTrigger | TrackedTrigger:
        """Waits for the same, in a triggerer."""


class ArtifactSensor(_SlotSensor):
    """Waits until a stage has published its artifact of a slot, and pushes the artifact's reference.

    `sensor.output` is the reference: hand it to the operator of the next stage, in any DAG.

    Args:
        bay_id: the bay.
        stage: `capture`, `observation`, `fusion` or `tracking`.
        slot: an aware datetime or its ISO text; by default the run's own slot.
        deferrable: wait in a triggerer of the task's queue; otherwise in the worker, as `mode` says.
        poke_interval: seconds between two looks.
        timeout: for how long the task waits.
        kwargs: of `BaseSensorOperator`.

    Raises:
        ConfigError: there is no such stage.
    """

    template_fields: Sequence[str] = ("bay_id", "slot")

    def __init__(
        self,
        *,
        bay_id: str,
        stage: Stage,
        slot: datetime | str | None = None,
        deferrable: bool = True,
        poke_interval: timedelta | float = 10.0,
        timeout: timedelta | float = timedelta(hours=1),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            bay_id=bay_id, slot=slot, deferrable=deferrable, poke_interval=poke_interval, timeout=timeout, **kwargs
        )
        if stage not in get_args(Stage):
            raise ConfigError(f"ArtifactSensor: stage {stage!r} is none of {', '.join(get_args(Stage))}")
        self.stage: Stage = stage

    def _look(self, batch: str) -> dict[str, Any] | None:
        return published(self.stage, self.bay_id, batch)

    def _trigger(self, batch: str, deadline: datetime) -> PublishedTrigger:
        return PublishedTrigger(
            stage=self.stage, bay_id=self.bay_id, batch_id=batch, deadline=deadline, poll_interval=self.poke_interval
        )


class SlotTrackedSensor(_SlotSensor):
    """Waits until the history has tracked a slot, and pushes how many tracks and events it has.

    A slot that will have no tracks (the bay is closed then, the batch was skipped or withdrawn) fails the task at
    once and without a retry; with `soft_fail` it skips it.

    Args:
        bay_id: the bay.
        slot: an aware datetime or its ISO text; by default the run's own slot.
        deferrable: wait in a triggerer of the task's queue; otherwise in the worker, as `mode` says.
        poke_interval: seconds between two looks.
        timeout: for how long the task waits.
        kwargs: of `BaseSensorOperator`.
    """

    def _look(self, batch: str) -> dict[str, Any] | None:
        return tracked(history_url(), self.bay_id, batch)

    def _trigger(self, batch: str, deadline: datetime) -> TrackedTrigger:
        return TrackedTrigger(bay_id=self.bay_id, batch_id=batch, deadline=deadline, poll_interval=self.poke_interval)
