"""What a Celery worker imports before it forks, by the queues it serves."""

import os
import subprocess
import sys

import pytest

from operators.preload import modules_for

pytest.importorskip("celery")


def test_a_worker_imports_for_the_queues_it_serves_alone():
    observer, processor = modules_for({"obs_3bay_north"}), modules_for({"proc_3bay_north", "proc_4bay"})
    assert "inference.service" in observer
    assert "inference.service" not in processor
    assert "fusion.pipeline" in processor
    assert "fusion.pipeline" not in observer
    assert set(modules_for({"default"})) == set(observer) & set(processor)
    assert set(modules_for({"obs_3bay_north", "proc_3bay_north"})) == set(observer) | set(processor)


ANNOUNCED = """
import sys
from types import SimpleNamespace
import celery.signals, operators.preload
before = "fusion.pipeline" in sys.modules
queues = SimpleNamespace(consume_from={"proc_3bay_north": None})
class Worker:
    app = SimpleNamespace(amqp=SimpleNamespace(queues=queues))
celery.signals.worker_init.send(sender=Worker)
loaded = [name in sys.modules for name in ("fusion.pipeline", "tracking.tracker", "tracking.history", "torch")]
print(before, *loaded)
"""


@pytest.mark.slow(3)
def test_it_happens_when_celery_announces_a_worker_and_not_at_import():
    done = subprocess.run(
        [sys.executable, "-c", ANNOUNCED], capture_output=True, text=True, check=True, env=os.environ, timeout=120
    )
    assert done.stdout.split()[-5:] == ["False", "True", "True", "True", "False"], done.stderr
