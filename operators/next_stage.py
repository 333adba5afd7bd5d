"""trigger_fusion, trigger_tracking: start the next stage's DAG for a batch, once."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
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
        kwargs: of `TriggerDagRunOperator`, but for those that follow from the reference. With
            `wait_for_completion` a run that is there already is waited for like a new one.

    Raises:
        ConfigError: an argument is given that follows from the reference.
    """

    template_fields: Sequence[str] = ("reference", *TriggerDagRunOperator.template_fields)

    def __init__(self, *, trigger_dag_id: str, reference: Any, **kwargs: Any) -> None:
        if taken := sorted(_OWN & kwargs.keys()):
            raise ConfigError(f"TriggerStageOperator: {', '.join(taken)} follow from the reference: leave them out")
        # skip_when_already_exists: two tries at the same moment; the later one is skipped, not failed.
        super().__init__(trigger_dag_id=trigger_dag_id, skip_when_already_exists=True, **kwargs)
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

    def _await_run(self, run_id: str, context: Context) -> None:
        failed = {str(state) for state in self.failed_states}
        ended = failed | {str(state) for state in self.allowed_states}
        while (state := context["ti"].get_dagrun_state(self.trigger_dag_id, run_id)) not in ended:
            self.log.info("run %s of %s is %s", run_id, self.trigger_dag_id, state)
            time.sleep(self.poke_interval)
        if state in failed:
            raise AirflowException(f"run {run_id} of {self.trigger_dag_id} ended as {state}")
