"""What the operators share: errors that reach the task log, the slot of a run, references between stages."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.triggers.base import BaseTrigger

from artifacts import ArtifactReference, ArtifactStore, Stage
from bay_observation.errors import ArtifactError, BayObservationError, ConfigError, WrongArtifactError
from bays import batch_id, slot_of

FROM_CONF: Final = "from the run's conf"
"""In place of a reference: the run's `conf` names the artifact."""


@contextmanager
def task_errors() -> Iterator[None]:
    """Fail the task with this project's own message; without a retry where none can help."""
    try:
        yield
    except (ConfigError, WrongArtifactError) as error:
        raise AirflowFailException(str(error)) from error
    except BayObservationError as error:
        raise AirflowException(str(error)) from error


def run_slot(context: Context) -> datetime:
    """The slot of a run: its logical date, or `run_after` for a manual run that has none."""
    # Airflow leaves the key out of the context where the run has no logical date.
    slot: datetime = context.get("logical_date") or context["dag_run"].run_after
    return slot


def within_execution_timeout(wait: timedelta, execution_timeout: timedelta | None, began: datetime | None) -> timedelta:
    """How long a task may wait for something; Airflow bounds by `execution_timeout` only what runs in a worker.

    Args:
        wait: what it would wait.
        execution_timeout: of the task: of a whole try, its deferrals included.
        began: when the try did, None where that is not known.

    Returns:
        `wait`, or what is left of `execution_timeout` if that is shorter; never less than nothing.
    """
    if execution_timeout is None:
        return wait
    spent = timedelta() if began is None else datetime.now(UTC) - began
    return max(timedelta(), min(wait, execution_timeout - spent))


def fired_here(trigger: BaseTrigger) -> Mapping[str, Any]:
    """The event of a trigger that runs in this worker instead of a triggerer, for a task that does not defer."""

    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    payload: Mapping[str, Any] = asyncio.run(first())
    return payload


def slot_of_text(slot: object) -> datetime:
    """A slot that a person or a template wrote, or a datetime as it is; a naive one is refused by `bays.batch_id`.

    Raises:
        ConfigError: it is no time.
    """
    if isinstance(slot, datetime):
        return slot
    try:
        return datetime.fromisoformat(slot)  # type: ignore[arg-type]  # what is no text is refused below
    except (TypeError, ValueError) as error:
        raise ConfigError(f"slot {slot!r} is not a time: write it as 2025-07-02T07:10:00+00:00") from error


def stage_reference(given: object, stage: Stage, bay_id: str, context: Context) -> ArtifactReference:
    """Reference to the artifact that a task starts from.

    Args:
        given: the operator's own argument, `FROM_CONF` where it has none. Then the run's `conf`
            names the artifact: its key named as the stage holds a whole reference, or `batch_id`
            or `slot` alone names what is published (for a run that a person starts).
        stage: whose artifact it must be.
        bay_id: of which bay.
        context: of the task.

    Raises:
        ConfigError: nothing names a usable artifact; trying again does not help.
        WrongArtifactError: what is published for the `batch_id` is damaged.
        StoreUnavailableError: the store fails.
    """
    if given is None:
        raise ConfigError(
            f"bay {bay_id}: the {stage} reference that this task was given is empty: the task before it pushed none"
        )
    reference = _named_by_conf(stage, bay_id, context) if given == FROM_CONF else parsed_reference(given, stage)
    if (reference.stage, reference.bay_id) != (stage, bay_id):
        raise ConfigError(f"{reference.path} is no {stage} artifact of bay {bay_id}")
    return reference


def captured(bay_id: str, given: object, context: Context) -> ArtifactReference | None:
    """Reference to the capture that a task of the observation DAG starts from.

    Without one the capture that is published for the run's slot: a person who marks
    `capture_images` as success pushes nothing, and means that the run goes on with what is there.

    Args:
        bay_id: the bay.
        given: what `capture_images` pushed, None where it pushed nothing.
        context: of the task.

    Returns:
        None where it pushed nothing and no capture is published.

    Raises:
        ConfigError: the reference is malformed, or of another bay or stage.
        WrongArtifactError: what is published is damaged.
        StoreUnavailableError: the store fails.
    """
    if given is None:
        return ArtifactStore().find("capture", bay_id, batch_id(bay_id, run_slot(context)))
    return stage_reference(given, "capture", bay_id, context)


def parsed_reference(values: object, what: str) -> ArtifactReference:
    """The reference that another task wrote.

    Raises:
        ConfigError: it is none; trying again does not help.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{what} reference: {type(values).__name__} where a mapping is wanted")
    try:
        reference = ArtifactReference.from_dict(values)
        slot_of(reference.batch_id)
    except ArtifactError as error:
        raise ConfigError(f"{what} reference: {error}") from error
    return reference


def _named_by_conf(stage: Stage, bay_id: str, context: Context) -> ArtifactReference:
    conf = context["dag_run"].conf or {}
    if conf.get(stage) is not None:
        return parsed_reference(conf[stage], stage)
    if conf.get("batch_id") is not None:
        return _published(stage, bay_id, conf["batch_id"])
    if conf.get("slot") is not None:
        return _published(stage, bay_id, batch_id(bay_id, slot_of_text(conf["slot"])))
    raise ConfigError(
        f'bay {bay_id}: this run names no batch: its conf needs "{stage}" (a reference), "batch_id" or "slot",'
        f" and holds {', '.join(sorted(conf)) or 'nothing'}"
    )


def _published(stage: Stage, bay_id: str, batch: object) -> ArtifactReference:
    if not isinstance(batch, str):
        raise ConfigError(f"batch_id: {type(batch).__name__} where a text is wanted, as {bay_id}_20250702-161000")
    slot_of(batch)
    found = ArtifactStore().find(stage, bay_id, batch)
    if found is None:
        raise ConfigError(f"no {stage} artifact is published for batch {batch}: run that stage first")
    return found
