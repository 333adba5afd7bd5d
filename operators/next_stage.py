"""trigger_fusion, trigger_tracking: start the next stage's DAG for a batch, once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.definitions.context import Context

from artifacts import ArtifactReference
from bays import slot_of
from operators._common import task_errors


class TriggerStageOperator(TriggerDagRunOperator):
    """Starts the DAG of the next stage with a reference in its `conf`.

    The run's id is the batch id and the first digits of the artifact's sha256: a retry of
    this task starts no second run (and succeeds), a new artifact of the same batch does.
    The run has no logical date, since Airflow allows only one run per date; its
    `run_after` is the slot, and queued runs start in that order.

    Args:
        trigger_dag_id: the next stage's DAG.
        reference: the artifact's reference (an XComArg as a rule).
    """

    template_fields: Sequence[str] = ("reference", *TriggerDagRunOperator.template_fields)

    def __init__(self, *, trigger_dag_id: str, reference: Any, **kwargs: Any) -> None:
        # skip_when_already_exists: two tries at the same moment; the later one is skipped, not failed.
        super().__init__(trigger_dag_id=trigger_dag_id, skip_when_already_exists=True, **kwargs)
        self.reference = reference

    def execute(self, context: Context) -> None:
        """Start the run unless it is there."""
        with task_errors():
            reference = ArtifactReference.from_dict(self.reference)
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
            return
        super().execute(context)
