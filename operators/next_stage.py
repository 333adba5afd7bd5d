"""trigger_fusion, trigger_tracking: start the next stage's DAG for a batch, once."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException

from bay_observation.errors import ConfigError
from bays import slot_of
from operators._common import parsed_reference, task_errors

_OWN = frozenset({"conf", "trigger_run_id", "logical_date", "run_after", "skip_when_already_exists", "reset_dag_run"})


class TriggerStageOperator(TriggerDagRunOperator):
    """Starts the DAG of the next stage with a reference in its `conf`.

    The run's id is the batch id and the first digits of the artifact's sha256: a retry of
    this task starts no second run (and succeeds), a new artifact of the same batch does.
    The run has no logical date, since Airflow allows only one run per date; its
    `run_after` is the slot, and queued runs start in that order.

    Args:
        trigger_dag_id: the next stage's DAG.
        reference: the artifact's reference (an XComArg as a rule).
        wait_for_completion: end with the run, and fail if it fails. A run that is there already is waited for
            like a new one.
        poke_interval: seconds between two looks at it.
        allowed_states: states of the run in which this task succeeds.
        failed_states: states of the run in which this task fails.
        deferrable: wait in a triggerer of the task's queue; otherwise in the worker.
        kwargs: of `BaseOperator`, and of `TriggerDagRunOperator` but for those that follow from the reference.

    Raises:
        ConfigError: an argument is given that follows from the reference.
    """

    template_fields: Sequence[str] = ("reference", *TriggerDagRunOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {"reference": "json", "conf": "json"}

    def __init__(
        self,
        *,
        trigger_dag_id: str,
        reference: Any,
        wait_for_completion: bool = False,
        poke_interval: int = 60,
        allowed_states: Sequence[str] = ("success",),
        failed_states: Sequence[str] = ("failed",),
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        if taken := sorted(_OWN & kwargs.keys()):
            raise ConfigError(f"TriggerStageOperator: {', '.join(taken)} follow from the reference: leave them out")
        # skip_when_already_exists: two tries at the same moment; the later one is skipped, not failed.
        super().__init__(
            trigger_dag_id=trigger_dag_id,
            wait_for_completion=wait_for_completion,
            poke_interval=poke_interval,
            allowed_states=list(allowed_states),
            failed_states=list(failed_states),
            deferrable=deferrable,
            skip_when_already_exists=True,
            **kwargs,
        )
        self.reference = reference

    def execute(self, context: Context) -> None:
        """Start the run unless it is there."""
        with task_errors():
            reference = parsed_reference(self.reference, "artifact")
            slot = slot_of(reference.batch_id)
        self.trigger_run_id = f"{reference.batch_id}_{reference.sha256[:8]}"
        self.conf = {
            "batch_id": reference.batch_id,
            "bay_id": reference.bay_id,
            f"{reference.stage}_result_path": reference.path,
            reference.stage: reference.to_dict(),
        }
        # A slot of the future (a simulated day) must not hold the run back.
        self.run_after = min(slot, datetime.now(UTC))
        if context["ti"].get_dr_count(dag_id=self.trigger_dag_id, run_ids=[self.trigger_run_id]):
            self.log.info(
                "run %s of %s is there already and takes this artifact; to run it again, clear it",
                self.trigger_run_id,
                self.trigger_dag_id,
            )
            if self.wait_for_completion:
                self._await_run(self.trigger_run_id, context)
            return
        super().execute(context)

    def execute_complete(self, context: Context, event: tuple[str, dict[str, Any]]) -> None:
        """Say how the run that was waited for ended.

        Raises:
            AirflowException: in one of the `failed_states`.
        """
        _, ended = event
        (self.trigger_run_id,) = ended["run_ids"]
        self._say(self.trigger_run_id, str(ended.get(self.trigger_run_id)))

    def _await_run(self, run_id: str, context: Context) -> None:
        ended = {str(state) for state in (*self.failed_states, *self.allowed_states)}
        while (state := context["ti"].get_dagrun_state(self.trigger_dag_id, run_id)) not in ended:
            self.log.info("run %s of %s is %s", run_id, self.trigger_dag_id, state)
            if self.deferrable:
                self.defer(trigger=self._end_of(run_id), method_name="execute_complete", timeout=self.execution_timeout)
            time.sleep(self.poke_interval)
        self._say(run_id, str(state))

    def _end_of(self, run_id: str) -> DagStateTrigger:
        return DagStateTrigger(
            dag_id=self.trigger_dag_id,
            states=[*self.allowed_states, *self.failed_states],
            execution_dates=None,
            run_ids=[run_id],
            poll_interval=self.poke_interval,
        )

    def _say(self, run_id: str, state: str) -> None:
        if state in {str(failed) for failed in self.failed_states}:
            raise AirflowException(f"run {run_id} of {self.trigger_dag_id} ended as {state}")
        self.log.info("run %s of %s ended as %s", run_id, self.trigger_dag_id, state)
