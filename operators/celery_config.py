"""Celery's configuration: Airflow's own, with a column of results that nothing is written to or read from.

Celery keeps a task's result as a pickle, which the scheduler reads and any bay's worker may write: whoever has
taken a worker could run code beside Airflow's own keys, or end the scheduler by a result that is no error's. Airflow
uses the state alone. It finds this module by `AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS` (env/base.env), in the
scheduler, the workers and Flower.
"""

from typing import Any

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.backends.database.models import Task, TaskSet
from sqlalchemy.types import LargeBinary, TypeDecorator


class _NoResult(TypeDecorator[None]):
    """In place of SQLAlchemy's `PickleType`."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> None:
        """Nothing is kept."""

    def process_result_value(self, value: Any, dialect: Any) -> None:
        """Whatever stands there is not looked at."""


for table in (Task, TaskSet):
    table.__table__.c.result.type = _NoResult()

CELERY_CONFIG: dict[str, Any] = DEFAULT_CELERY_CONFIG
