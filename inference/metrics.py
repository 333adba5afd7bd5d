"""Metrics of a batch's inference, sent to a sink that the caller passes.

The sink is `capture_async.metrics.MetricsSink`, which Airflow's own stats module is.

| metric | kind | tags | meaning |
|---|---|---|---|
| `bay_inference.duration` | timer | `bay`, `by` | one batch, from its capture artifact to its Observation artifact |
| `bay_inference.frames` | counter | `bay`, `by` | frames that the models saw |
| `bay_inference.objects` | counter | `bay`, `by` | objects found in them |
| `bay_inference.failures` | counter | `bay`, `by` | cameras without a usable frame |

`by` is `server` or `task`: the process that held the models. A bay whose server is down shows `task`.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from capture_async.metrics import MetricsSink
    from inference.serving.messages import Observed


def report_inference(sink: "MetricsSink", observed: "Observed", by: Literal["server", "task"]) -> None:
    """Send one batch's metrics."""
    tags = {"bay": observed.reference.bay_id, "by": by}
    sink.timing("bay_inference.duration", timedelta(seconds=observed.seconds), tags=tags)
    sink.incr("bay_inference.frames", observed.frames, tags=tags)
    sink.incr("bay_inference.objects", observed.objects, tags=tags)
    sink.incr("bay_inference.failures", len(observed.failures), tags=tags)
