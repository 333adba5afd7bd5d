"""Celery's configuration: Airflow's own, with results that can name no code.

Celery keeps a task's result as a pickle, which the scheduler reads and any bay's worker may write: whoever has
taken a worker could run code beside Airflow's own keys. Here such a pickle holds plain data, and what is none is read
as no result at all; the task's state stands in a column of its own. Airflow finds this module by
`AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS` (env/base.env), in the scheduler, the workers and Flower.
"""

import json
import logging
from typing import Any

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.backends.database.models import Task, TaskSet
from sqlalchemy.types import PickleType

from artifacts import plain_pickle

logger = logging.getLogger(__name__)


class PlainPickle:
    """In place of Python's `pickle`, for SQLAlchemy's `PickleType`."""

    @staticmethod
    def dumps(value: Any, _protocol: int = 0) -> bytes:
        """A result, as far as JSON can say it; the rest of it in words."""
        return plain_pickle.dumps(json.loads(json.dumps(value, default=str)))

    @staticmethod
    def loads(content: bytes) -> Any:
        """The value; None for what is no pickle of plain data, so that one forged result hides no other."""
        try:
            return plain_pickle.loads(bytes(content))
        except plain_pickle.PlainPickleError as error:
            logger.warning("a result of Celery is not read: %s", error)
            return None


for table in (Task, TaskSet):
    table.__table__.c.result.type = PickleType(pickler=PlainPickle)

CELERY_CONFIG: dict[str, Any] = DEFAULT_CELERY_CONFIG
