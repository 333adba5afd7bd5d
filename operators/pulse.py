"""A Celery worker's sign of life: a file that each of its heartbeats touches.

Celery loads this module where its setting `imports` names it (env/base.env). A heartbeat goes out
every two seconds, from the loop that takes tasks, over the connection to Redis. So a health check
(`deploy/bin/alive`) need not ask the worker over Redis, which would take the right to command every worker.
"""

import tempfile
from pathlib import Path
from typing import Any

from celery.signals import heartbeat_sent

PULSE = Path(tempfile.gettempdir()) / "bay_observation_worker"


@heartbeat_sent.connect  # type: ignore[untyped-decorator]  # celery has no annotations
def touch(**_: Any) -> None:
    """Note the moment."""
    PULSE.touch()
