"""A capture's metrics: what is sent, in units and tags; through Airflow's own stats onto a socket."""

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from bays import batch_id
from capture_async import CameraFailure, CaptureBatch, CapturedImage, FailureReason
from capture_async.metrics import LoopLag, _clocks, report_capture

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
TIMED_OUT, BUSY = FailureReason.TIMED_OUT, FailureReason.BUSY


@pytest.fixture
def batch() -> CaptureBatch:
    images = tuple(CapturedImage(f"C_{number}", "yard", SLOT, b"") for number in range(9))
    reasons = (TIMED_OUT, BUSY, TIMED_OUT)
    failures = tuple(CameraFailure(f"D_{number}", reason, "") for number, reason in enumerate(reasons))
    return CaptureBatch(batch_id("yard", SLOT), "yard", images, failures)


class Sink:
    def __init__(self):
        self.sent = []

    def timing(self, stat, dt, *, tags):
        self.sent.append((stat, dt, tags))

    def gauge(self, stat, value, *, tags):
        self.sent.append((stat, value, tags))

    def incr(self, stat, count, *, tags):
        self.sent.append((stat, count, tags))


def test_duration_lag_frames_and_failures_by_reason_are_tagged_with_the_bay(batch):
    sink = Sink()
    report_capture(sink, batch, duration_s=1.25, loop_lag_s=0.03)
    bay = {"bay": "yard"}
    assert sink.sent == [
        ("bay_capture.duration", timedelta(seconds=1.25), bay),
        ("bay_capture.loop_lag", timedelta(milliseconds=30), bay),
        ("bay_capture.frames", 9, bay),
        ("bay_capture.failures", 1, bay | {"reason": "busy"}),
        ("bay_capture.failures", 2, bay | {"reason": "timed_out"}),
        ("bay_capture.cameras_working", 0.75, bay),
    ]


class UdpStatsd:
    """The calls of `statsd.StatsClient` that Airflow's logger makes, in statsd's wire format."""

    def __init__(self, address):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(address)

    def timing(self, stat, delta):
        self._socket.send(f"{stat}:{delta.total_seconds() * 1000:.6f}|ms".encode())

    def gauge(self, stat, value, rate=1, delta=False):
        self._socket.send(f"{stat}:{value}|g".encode())

    def incr(self, stat, count=1, rate=1):
        self._socket.send(f"{stat}:{count}|c".encode())

    def close(self):
        self._socket.close()


def test_through_airflows_stats_they_reach_a_statsd_server(batch, udp_server, airflow_backend):
    from airflow.sdk._shared.observability.metrics.statsd_logger import SafeStatsdLogger

    from triggers.stats import airflow_stats

    sink = airflow_stats()
    client = UdpStatsd(udp_server.getsockname())
    airflow_backend(lambda: SafeStatsdLogger(client, influxdb_tags_enabled=True, statsd_influxdb_enabled=True))
    report_capture(sink, batch, duration_s=1.25, loop_lag_s=0.03)
    client.close()
    assert received(udp_server, 6) == {
        "bay_capture.duration,bay=yard:1250.000000|ms",
        "bay_capture.loop_lag,bay=yard:30.000000|ms",
        "bay_capture.frames,bay=yard:9|c",
        "bay_capture.failures,bay=yard,reason=busy:1|c",
        "bay_capture.failures,bay=yard,reason=timed_out:2|c",
        "bay_capture.cameras_working,bay=yard:0.75|g",
    }


def test_with_statsd_on_and_its_client_installed_they_reach_the_configured_port(
    batch, udp_server, airflow_backend, monkeypatch
):
    from airflow.sdk._shared.observability.metrics.stats import _get_backend
    from airflow.sdk.configuration import conf
    from airflow.sdk.observability import stats

    from triggers.stats import airflow_stats

    host, port = udp_server.getsockname()
    for key, value in {"ON": "True", "HOST": host, "PORT": str(port), "INFLUXDB_ENABLED": "True"}.items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{key}", value)
    assert conf.getboolean("metrics", "statsd_on")
    airflow_stats.cache_clear()
    assert airflow_stats() is stats
    report_capture(airflow_stats(), batch, duration_s=1.25, loop_lag_s=0.03)
    sent = received(udp_server, 6)
    _get_backend().statsd.close()
    assert "airflow.bay_capture.frames,bay=yard:9|c" in sent


@pytest.fixture
def udp_server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        yield server


@pytest.fixture
def airflow_backend():
    """Sets the backend of Airflow's stats, and takes it away again."""
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.sdk.observability import stats

    from triggers.stats import airflow_stats

    yield lambda factory: stats.initialize(factory=factory, export_legacy_names=True)
    stats.initialize(factory=NoStatsLogger, export_legacy_names=True)
    airflow_stats.cache_clear()


def received(server, count):
    return {server.recv(4096).decode() for _ in range(count)}


async def test_a_blocked_loop_is_seen_as_long_as_it_was_blocked():
    with LoopLag() as lag:
        await asyncio.sleep(0.03)
        began = time.monotonic()
        time.sleep(0.15)  # noqa: ASYNC251  blocking is what is measured
        blocked = time.monotonic() - began
        await asyncio.sleep(0.03)
    assert lag.largest_s > blocked - 0.02


async def test_a_block_that_lasts_until_the_end_is_seen():
    with LoopLag() as lag:
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251
    assert lag.largest_s > 0.08


async def test_contexts_that_are_open_together_share_a_timer_and_see_their_own_time_alone():
    with LoopLag() as first:
        await asyncio.sleep(0.03)
        time.sleep(0.5)  # noqa: ASYNC251
        with LoopLag() as second:
            await asyncio.sleep(0.03)
    assert first.largest_s > 0.48
    assert second.largest_s < first.largest_s / 2
    assert len(_clocks[asyncio.get_running_loop()]) == 1


async def test_measuring_leaves_no_timer_behind():
    loop = asyncio.get_running_loop()
    with LoopLag():
        await asyncio.sleep(0.03)
    assert [handle for handle in loop._scheduled if not handle.cancelled()] == []
