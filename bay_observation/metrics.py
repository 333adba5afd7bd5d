"""Every metric that the product gives, declared once: what sends a metric and `docs/metrics.md` are held against this.

Two ways lead out. What happens in a task or a trigger is *sent*, through Airflow's own metrics (StatsD or
OpenTelemetry, as `[metrics]` says). What stands in a database is *exported*: `bay-observation metrics export` asks when
Prometheus does.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "timer"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: as it is sent (`bay_capture.duration`) or exported (`bay_tracked_age_seconds`).
        kind: a timer is in milliseconds in StatsD.
        tags: that each value has; labels in Prometheus.
        meaning: one sentence.
    """

    name: str
    kind: Kind
    tags: tuple[str, ...]
    meaning: str


SENT: tuple[Metric, ...] = (
    Metric("bay_capture.duration", "timer", ("bay",), "one capture, from its first request to its last outcome"),
    Metric("bay_capture.loop_lag", "timer", ("bay",), "longest time that the event loop was blocked meanwhile"),
    Metric("bay_capture.frames", "counter", ("bay",), "cameras that gave a frame"),
    Metric("bay_capture.failures", "counter", ("bay", "reason"), "cameras that gave none, by reason (`timed_out`)"),
    Metric("bay_capture.cameras_working", "gauge", ("bay",), "frames of the newest capture over its cameras, 0 to 1"),
    Metric(
        "bay_inference.duration",
        "timer",
        ("bay", "by"),
        "one batch, from its capture to its observation; `by` is `server` or `task`",
    ),
    Metric("bay_inference.frames", "counter", ("bay", "by"), "frames that the models saw"),
    Metric("bay_inference.objects", "counter", ("bay", "by"), "objects found in them"),
    Metric("bay_inference.failures", "counter", ("bay", "by"), "cameras without a usable frame"),
    Metric("bay_spool.pending", "gauge", ("bay",), "artifacts that wait in the observer's spool for the store"),
    Metric("bay_spool.bytes", "gauge", ("bay",), "their size"),
    Metric("bay_spool.oldest_age", "gauge", ("bay",), "seconds that the longest-waiting one has waited"),
)

EXPORTED: tuple[Metric, ...] = (
    Metric(
        "bay_tracked_age_seconds", "gauge", ("bay",), "since the newest slot that was tracked; absent before the first"
    ),
    Metric("bay_open", "gauge", ("bay",), "1 while the bay's slots are to be captured, 0 while it is closed"),
    Metric(
        "bay_slots_missing",
        "gauge",
        ("bay", "outcome"),
        "slots of the last 24 hours that were not tracked, by what"
        " became of them (`not_run`, `capture_failed`, ...); slots in closed hours are left out",
    ),
    Metric("bay_quorum_margin", "gauge", ("bay",), "frames of the newest capture, minus the bay's camera quorum"),
    Metric(
        "bay_camera_failures_in_row",
        "gauge",
        ("bay", "camera"),
        "captures without a frame of the camera, up to the newest one; at most those of 24 hours",
    ),
    Metric(
        "bay_events", "gauge", ("bay", "kind"), "events of the last 24 hours by kind (`moved`, `floor_doubted`, ...)"
    ),
    Metric(
        "bay_config_faulty",
        "gauge",
        ("bay",),
        "1 where the bay's file cannot be read: nothing else is known of the bay, and it does not run",
    ),
    Metric(
        "bay_failures_in_row",
        "gauge",
        ("bay", "outcome"),
        "slots up to the newest one whose batch ended so (`capture_failed`, `inference_failed`, ...)",
    ),
    Metric(
        "bay_floor_doubts_lately", "gauge", ("bay",), "times within the last hour that a floor plan began to be doubted"
    ),
    Metric(
        "bay_frames_late_lately",
        "gauge",
        ("bay",),
        "tracked slots of the last hour whose frames were taken more than a minute after the slot",
    ),
    Metric(
        "bay_camera_drift",
        "gauge",
        ("bay", "camera"),
        "how far the frames of the last twelve slots are from the reference week, in units of what is allowed: more"
        " than 1 is a drift; absent where too little was observed; looked at every ten minutes",
    ),
    Metric("bay_triggerers_alive", "gauge", ("queue",), "triggerers that live and serve the queue"),
    Metric("bay_queue_expected", "gauge", ("queue",), "1 where an enabled bay defers into the queue"),
    Metric("bay_deferred_held", "gauge", ("queue",), "deferred tasks that a living triggerer has"),
    Metric("bay_deferred_unclaimed", "gauge", ("queue",), "deferred tasks that no process has"),
    Metric(
        "bay_deferred_unclaimed_oldest_seconds",
        "gauge",
        ("queue",),
        "how long the first of them waits; 0 where none does",
    ),
    Metric("bay_tasks_queued", "gauge", ("queue",), "tasks that wait for a worker of the queue"),
    Metric("bay_tasks_queued_oldest_seconds", "gauge", ("queue",), "how long the first of them waits"),
    Metric(
        "bay_airflow_heartbeat_age_seconds",
        "gauge",
        ("process",),
        "since the newest sign of life of a `scheduler` or a `dag_processor`; absent where there never was one",
    ),
    Metric("bay_messages_waiting", "gauge", (), "messages to people that are due and that no receiver has taken"),
    Metric("bay_messages_waiting_seconds", "gauge", (), "how long the first of them waits; 0 where none does"),
    Metric("bay_store_answers", "gauge", (), "1 where the shared storage answers this host"),
    Metric("bay_store_latency_seconds", "gauge", (), "how long it took to answer"),
    Metric("bay_disk_free_bytes", "gauge", (), "free on the storage's disk; absent for S3; looked at once an hour"),
    Metric(
        "bay_disk_days_left", "gauge", (), "until it is full at the bays' rate of the last week; 3650 stands for never"
    ),
    Metric(
        "bay_export_failed",
        "gauge",
        ("part",),
        "1 where a part of the export could not be asked; its values are absent",
    ),
    Metric("bay_export_seconds", "gauge", ("part",), "how long a part of the export took"),
)


def document() -> str:
    """`docs/metrics.md`."""
    lines = [
        "# Metrics",
        "",
        "<!-- Written by `python -m bay_observation.metrics > docs/metrics.md`; a test holds it. -->",
        "",
        "Two ways lead out of the product. [monitoring.md](monitoring.md) says how to collect them, and what to watch.",
    ]
    for title, text, metrics in (
        (
            "Sent",
            "By tasks and triggers, through Airflow's own metrics, to where `[metrics]` says (StatsD, Datadog,"
            " OpenTelemetry). Plain StatsD has no tags and would mix the bays: set `statsd_influxdb_enabled = True`,"
            " or use one of the others. Airflow puts its prefix before the name (`airflow.bay_capture.duration`).",
            SENT,
        ),
        (
            "Exported",
            "By `bay-observation metrics export`, for Prometheus: what stands in Airflow's database, in the history and"
            " on the storage. A part that cannot be asked is absent, and `bay_export_failed` says so.",
            EXPORTED,
        ),
    ):
        lines += ["", f"## {title}", "", text, "", "| metric | kind | tags | meaning |", "|---|---|---|---|"]
        for one in metrics:
            tags = ", ".join(f"`{tag}`" for tag in one.tags)
            lines.append(f"| `{one.name}` | {one.kind} | {tags} | {one.meaning} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print it."""
    print(document(), end="")
    return 0


if __name__ == "__main__":
    from bay_observation.commands import run_command

    run_command(main)
