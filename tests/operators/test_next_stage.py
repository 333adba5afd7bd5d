"""TriggerStageOperator: one run of the next stage per artifact."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk.exceptions import AirflowException, AirflowFailException, DagRunTriggerException, TaskDeferred

from artifacts import ArtifactReference
from bay_observation.errors import ConfigError
from operators import TriggerStageOperator

BATCH = "yard_20250702-071000"
SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


def reference(batch=BATCH, digest="ab" * 32):
    return ArtifactReference("observation", "yard", batch, f"observation/yard/{batch}/result.pkl", digest, 10, 1)


def started(context, given):
    task = TriggerStageOperator(task_id="trigger_fusion", trigger_dag_id="fusion_yard_dag", reference=given.to_dict())
    with pytest.raises(DagRunTriggerException) as run:
        task.execute(context)
    return run.value


def test_starts_the_next_stage_with_the_reference(airflow_context):
    run = started(airflow_context(SLOT), reference())
    assert run.trigger_dag_id == "fusion_yard_dag"
    assert run.dag_run_id == f"{BATCH}_abababab"
    assert run.conf == {
        "batch_id": BATCH,
        "bay_id": "yard",
        "observation_result_path": f"observation/yard/{BATCH}/result.pkl",
        "observation": reference().to_dict(),
    }
    assert run.wait_for_completion is False
    assert run.logical_date is None
    assert run.run_after == SLOT


def test_a_new_artifact_of_the_batch_starts_a_run_of_its_own(airflow_context):
    ids = {started(airflow_context(SLOT), reference(digest=digest * 32)).dag_run_id for digest in ("ab", "cd")}
    assert len(ids) == 2


def test_a_retry_starts_no_second_run_and_succeeds(airflow_context):
    context = airflow_context(SLOT, runs={f"fusion_yard_dag/{BATCH}_abababab"})
    task = TriggerStageOperator(
        task_id="trigger_fusion", trigger_dag_id="fusion_yard_dag", reference=reference().to_dict()
    )
    assert task.execute(context) is None


def test_two_tries_at_the_same_moment_do_not_fail(airflow_context):
    assert started(airflow_context(SLOT), reference()).skip_when_already_exists is True


def test_a_slot_of_the_future_does_not_hold_the_run_back(airflow_context):
    slot = datetime.now(UTC) + timedelta(days=400)
    run = started(airflow_context(slot), reference(f"yard_{slot:%Y%m%d-%H%M%S}"))
    assert run.run_after <= datetime.now(UTC)


def test_a_broken_reference_fails_with_its_reason(airflow_context):
    task = TriggerStageOperator(
        task_id="trigger_fusion", trigger_dag_id="fusion_yard_dag", reference={"batch_id": BATCH}
    )
    with pytest.raises(AirflowFailException, match="reference without"):
        task.execute(airflow_context(SLOT))


@pytest.mark.parametrize("argument", ["conf", "trigger_run_id", "logical_date", "reset_dag_run"])
def test_what_follows_from_the_reference_is_not_taken_as_an_argument(argument):
    with pytest.raises(ConfigError, match=f"{argument} follow from the reference"):
        TriggerStageOperator(task_id="go", trigger_dag_id="d", reference={}, **{argument: None})


def test_a_run_that_is_there_already_is_waited_for(airflow_context):
    """As Airflow does for a run that this task starts: a fresh try must not succeed over a failed run."""
    states = iter(["running", "failed", "running", "success"])
    context = airflow_context(SLOT, runs={f"fusion_yard_dag/{BATCH}_abababab"})
    context["ti"].get_dagrun_state = lambda dag_id, run_id: next(states)
    task = TriggerStageOperator(
        task_id="trigger_fusion",
        trigger_dag_id="fusion_yard_dag",
        reference=reference().to_dict(),
        wait_for_completion=True,
        poke_interval=0,
    )
    with pytest.raises(AirflowException, match="ended as failed"):
        task.execute(context)
    assert task.execute(context) is None


def waiting_task(**arguments):
    return TriggerStageOperator(
        task_id="trigger_fusion",
        trigger_dag_id="fusion_yard_dag",
        reference=reference().to_dict(),
        wait_for_completion=True,
        poke_interval=7,
        **arguments,
    )


def test_a_run_that_is_there_already_is_waited_for_in_a_triggerer(airflow_context):
    context = airflow_context(SLOT, runs={f"fusion_yard_dag/{BATCH}_abababab"})
    context["ti"].get_dagrun_state = lambda dag_id, run_id: "running"
    task = waiting_task(deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    trigger = deferred.value.trigger
    assert isinstance(trigger, DagStateTrigger)
    assert (trigger.dag_id, trigger.run_ids, trigger.poll_interval) == ("fusion_yard_dag", [f"{BATCH}_abababab"], 7)
    assert deferred.value.method_name == "execute_complete"


@pytest.mark.parametrize("deferrable", [True, False])
def test_how_a_run_is_waited_for_is_airflows_to_know(airflow_context, deferrable):
    with pytest.raises(DagRunTriggerException) as started_run:
        waiting_task(deferrable=deferrable).execute(airflow_context(SLOT))
    assert started_run.value.wait_for_completion is True
    assert started_run.value.deferrable is deferrable
    assert started_run.value.poke_interval == 7


def test_says_how_the_run_ended(airflow_context, monkeypatch):
    def event(state):
        return ("path", {"run_ids": [f"{BATCH}_abababab"], f"{BATCH}_abababab": state})

    task, said = waiting_task(deferrable=True), []
    monkeypatch.setattr(task.log, "info", lambda text, *values: said.append(text % values))
    task.execute_complete(airflow_context(SLOT), event("success"))
    assert said == [f"run {BATCH}_abababab of fusion_yard_dag ended as success"]
    with pytest.raises(AirflowException, match=f"run {BATCH}_abababab of fusion_yard_dag ended as failed"):
        task.execute_complete(airflow_context(SLOT), event("failed"))


def test_a_reference_that_turns_out_empty_is_an_error(airflow_context):
    task = TriggerStageOperator(task_id="trigger_fusion", trigger_dag_id="fusion_yard_dag", reference=None)
    with pytest.raises(AirflowFailException, match="NoneType where a mapping is wanted"):
        task.execute(airflow_context(SLOT))
