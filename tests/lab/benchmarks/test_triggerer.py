"""What `make bench-triggerer` makes of its measurements; the measuring itself starts a PostgreSQL and a triggerer."""

import socket
import time

import pytest

from bays import load_bay
from lab.benchmarks.triggerer import Statsd, bars_of, main, said, values, write_bays
from lab.benchmarks.yard import Address, Cameras


def wave(*seconds, frames=12, status="captured", lag=20.0):
    captures = [{"seconds": one, "status": status, "frames": frames, "error": ""} for one in seconds]
    rest = {"blocked": 1, "memory_mib": 250.0, "cpu_s": 2.0, "loop_s": [1.0, 0.5]}
    return {"captures": captures, "lag_ms": lag} | rest


def results(*waves):
    return {"settings": {"bays": 2, "cameras": 12, "waves": len(waves), "deadline": 30.0}, "waves": list(waves)}


def verdicts(*waves):
    return [bar.holds for bar in bars_of(results(*waves))]


def test_bars_that_hold():
    assert verdicts(wave(3.0, 4.0), wave(29.0, 30.0)) == [True, True, True]


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (wave(3.0, 30.1), [False, True, True]),
        (wave(3.0, 4.0, frames=11), [True, False, True]),
        (wave(3.0, 4.0, status="failed"), [True, False, True]),
        (wave(3.0, 4.0, lag=101.0), [True, True, False]),
    ],
)
def test_one_bad_wave_fails_its_bar(bad, expected):
    assert verdicts(wave(3.0, 4.0), bad) == expected


def test_the_rate_is_that_of_the_median_wave():
    lines = said(results(wave(3.0, 4.0), wave(2.0, 6.0), wave(1.0, 5.0)))
    assert lines[0] == "captures a minute: 24 (median wave: 5.0 s)"
    assert "CPU of the triggerer: 1.00 s a capture of 12 cameras" in lines
    assert "the loop's thread computed for 3.0 s, and waited for 1.5 s for one of this machine's cores" in lines


def test_values_of_one_metric():
    lines = [
        "airflow.bay_capture.loop_lag,bay=bay_000:1.5|ms",
        "airflow.bay_capture.loop_lag,bay=bay_001:20|ms",
        "airflow.bay_capture.duration,bay=bay_001:2000|ms",
        "airflow.triggers.blocked_main_thread:1|c",
    ]
    assert values(lines, "bay_capture.loop_lag") == [1.5, 20.0]
    assert values(lines, "triggers.blocked_main_thread") == [1.0]
    assert values(lines, "triggers.failed") == []


def test_what_is_sent_to_the_statsd_server_is_taken_once():
    with Statsd() as metrics:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"airflow.a:1|c\nairflow.b:2|c", ("127.0.0.1", int(_port(metrics))))
        until = time.monotonic() + 10
        while not (taken := metrics.take()) and time.monotonic() < until:
            time.sleep(0.01)
        assert taken == ["airflow.a:1|c", "airflow.b:2|c"]
        assert metrics.take() == []


def _port(metrics):
    return metrics.environment["AIRFLOW__METRICS__STATSD_PORT"]


def test_a_file_for_each_bay(tmp_path, monkeypatch):
    cameras = Cameras(tuple(Address(f"L_{n:04}", f"127.77.0.{n + 1}", 8000 + n) for n in range(5)), (), "u", "p")
    names = write_bays(tmp_path / "bays", cameras, 2)
    monkeypatch.setenv("BAYS_PATH", str(tmp_path / "bays"))
    assert [len(load_bay(name).cameras) for name in names] == [2, 2, 1]
    assert all(load_bay(name).enabled for name in names)


@pytest.mark.parametrize("option", ["--bays=0", "--waves=-1", "--cameras=many"])
def test_a_size_that_is_none(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main([option])
    assert ended.value.code == 2
    assert "whole number" in capsys.readouterr().err
