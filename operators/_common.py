"""What the operators share: errors that reach the task log, the slot of a run, references between stages."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from artifacts import ArtifactReference, ArtifactStore, Stage
from bay_observation.errors import ArtifactError, BayObservationError, ConfigError


@contextmanager
def task_errors() -> Iterator[None]:
    """Fail the task with this project's own message; without a retry where none can help."""
    try:
        yield
    except ConfigError as error:
        raise AirflowFailException(str(error)) from error
    except BayObservationError as error:
        raise AirflowException(str(error)) from error


def run_slot(context: Context) -> datetime:
    """The slot of a run: its logical date, or `run_after` for a manual run that has none."""
    # Airflow leaves the key out of the context where the run has no logical date.
    slot: datetime = context.get("logical_date") or context["dag_run"].run_after
    return slot


def stage_reference(given: object, stage: Stage, bay_id: str, context: Context) -> ArtifactReference:
    """Reference to the artifact that a task starts from.

    `given` is the operator's own argument; without it the run's `conf` is asked: its key
    named as the stage holds a whole reference, or `batch_id` alone names what is published
    (for a run that a person starts).

    Raises:
        ConfigError: nothing names an artifact, or it is of another bay or stage.
        ArtifactError: the reference is malformed, or nothing is published for the batch.
    """
    conf = context["dag_run"].conf or {}
    values = given if given is not None else conf.get(stage)
    if values is not None:
        if not isinstance(values, Mapping):
            raise ConfigError(f"{stage} reference: {type(values).__name__} where a mapping is wanted")
        reference = ArtifactReference.from_dict(values)
    elif isinstance(batch := conf.get("batch_id"), str):
        found = ArtifactStore().find(stage, bay_id, batch)
        if found is None:
            raise ArtifactError(f"no {stage} artifact is published for batch {batch}: run that stage first")
        reference = found
    else:
        raise ConfigError(
            f'bay {bay_id}: this run names no batch: its conf needs "{stage}" (a reference) or "batch_id",'
            f" and holds {', '.join(sorted(conf)) or 'nothing'}"
        )
    if (reference.stage, reference.bay_id) != (stage, bay_id):
        raise ConfigError(f"{reference.path} is no {stage} artifact of bay {bay_id}")
    return reference
