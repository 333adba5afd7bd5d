"""What a Celery worker imports once, before it forks, so that its tasks start with it and share the memory.

Celery loads this module where its setting `imports` names it (env/base.env); it then looks which
queues the worker serves. Without it every task imports the libraries of its stage again.
"""

import gc
from importlib import import_module
from typing import Any

from celery.signals import worker_init

from bays import bay_ids, observer_queue, processor_queue

# Of every task: the DAG file's imports, and what Airflow loads when a task is about to run.
_ALL = ("operators.conditions", "tracking.history", "airflow.sdk.definitions.asset.metadata", "_strptime")
_OBSERVER = ("cv2", "inference.metrics", "inference.service", "inference.serving")
_PROCESSOR = ("fusion.pipeline", "tracking.ledger", "tracking.tracker")


def modules_for(queues: set[str]) -> list[str]:
    """Names of the modules that the tasks of these queues import."""
    bays = bay_ids()
    observes = not queues.isdisjoint(map(observer_queue, bays))
    processes = not queues.isdisjoint(map(processor_queue, bays))
    return [*_ALL, *(_OBSERVER if observes else ()), *(_PROCESSOR if processes else ())]


@worker_init.connect  # type: ignore[untyped-decorator]  # celery has no annotations
def import_for_worker(sender: Any, **_: Any) -> None:
    """Import what the worker's tasks will, between the choice of its queues and its first fork."""
    for name in modules_for(set(sender.app.amqp.queues.consume_from)):
        import_module(name)
    # What is frozen the collector does not walk: its pages stay shared with every task.
    gc.collect()
    gc.freeze()
