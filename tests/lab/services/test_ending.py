"""What a benchmark starts ends with it, and with the make that started it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

# Starts a child of its own session, as the benchmarks do, and ends it on leaving.
BENCHMARK = """
import subprocess, sys, time
from contextlib import ExitStack
from lab.services.ending import end_in_good_order

end_in_good_order()
with ExitStack() as stack:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    stack.callback(child.wait)
    stack.callback(child.kill)
    stack.callback(time.sleep, 0.3)  # a second signal must not cut this short
    print(child.pid, flush=True)
    time.sleep(60)
"""
MAKE = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BENCHMARK!r}])"


def started(program, **environment):
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )
    return process, int(process.stdout.readline())


def has_ended(pid, within=20.0):
    until = time.monotonic() + within
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_what_was_started(number):
    process, child = started(BENCHMARK, MAKELEVEL="1")
    process.send_signal(number)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    process.stdout.close()
    assert has_ended(child)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_make(number):
    make, child = started(MAKE, MAKELEVEL="1")
    (benchmark,) = psutil.Process(make.pid).children()
    make.send_signal(number)
    make.wait(20)
    make.stdout.close()
    assert has_ended(benchmark.pid)
    assert has_ended(child)


@pytest.mark.slow(1)
def test_without_make_it_outlives_its_shell():
    environment = dict(os.environ)
    environment.pop("MAKELEVEL", None)
    shell = subprocess.Popen([sys.executable, "-c", MAKE], stdout=subprocess.PIPE, text=True, env=environment)
    child = int(shell.stdout.readline())
    (benchmark,) = psutil.Process(shell.pid).children()
    shell.kill()
    shell.wait(20)
    shell.stdout.close()
    try:
        assert not has_ended(child, within=0.5)
    finally:
        benchmark.terminate()
    assert has_ended(child)
