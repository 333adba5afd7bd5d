"""What dies comes back, and nothing is lost or done twice: every slot that was captured is tracked once, in order."""

import shutil
import time

import pytest

A, B = "3bay_north", "4bay"
CUT = 30.0

pytestmark = [pytest.mark.slow(60), pytest.mark.timeout(1500)]

# Task and state in which a stage is under way. A capture is under way while its task is deferred.
STAGES = {
    "capture": ("capture_images", "deferred"),
    "inference": ("run_inference", "running"),
    "fusion": ("process_fusion", "running"),
    "tracking": ("process_tracking", "running"),
}
SERVICES = ("worker", "triggerer", "scheduler", "api-server", "dag-processor")
# Those that every run of the tests does; the others are for `make cluster-test`.
ALWAYS = {("capture", "triggerer"), ("inference", "scheduler")}


def services(name, stage):
    """The processes that are killed for `name` while bay A is in `stage`."""
    if name == "worker":
        return [f"observer-{A}" if stage in ("capture", "inference") else f"processor-{A}"]
    if name == "triggerer":
        return [f"triggerer-{A}"] if stage in ("capture", "inference") else ["triggerer"]
    return [name]


def reach(cluster, day, stage):
    """Send slots until bay A is seen in the middle of a stage; short ones go by between two looks."""
    task, state = STAGES[stage]
    for _ in range(8):
        slot = day.send()
        seen = []

        def there(slot=slot, seen=seen):
            seen.append(day.state(A, slot, task))
            return seen[-1] in (state, "success")

        cluster.wait_until(there, 420, f"{task} of {slot} is not reached")
        if seen[-1] == state:
            return slot
        day.wait()
    raise AssertionError(f"{task} was never seen {state}")


@pytest.fixture(autouse=True)
def _all_services_are_up(cluster):
    cluster.wait_until_healthy()


@pytest.fixture
def slow_cameras(cluster):
    names = [camera.name for camera in cluster.bays[A].cameras]
    cluster.set_faults(A, {name: ["slow"] for name in names})
    yield
    cluster.set_faults(A, {name: [] for name in names})


@pytest.mark.parametrize(
    ("stage", "service"),
    [
        pytest.param(stage, service, marks=() if (stage, service) in ALWAYS else pytest.mark.faults)
        for stage in STAGES
        for service in SERVICES
    ],
)
def test_a_service_is_killed_in_the_middle_of_a_stage(cluster, day, slow_cameras, stage, service):
    reach(cluster, day, stage)
    for name in services(service, stage):
        cluster.kill(name)
    day.wait(timeout=900)
    day.keeps_the_promise()


@pytest.mark.faults
@pytest.mark.parametrize("stage", ["capture", "fusion"])
def test_redis_comes_back_empty(cluster, day, slow_cameras, stage):
    reach(cluster, day, stage)
    cluster.empty_redis()
    day.wait(timeout=900)
    day.keeps_the_promise()


@pytest.mark.faults
@pytest.mark.parametrize("stage", ["capture", "tracking"])
def test_postgresql_is_restarted(cluster, day, slow_cameras, stage):
    reach(cluster, day, stage)
    cluster.kill("postgresql")
    day.wait(timeout=900)
    day.keeps_the_promise()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("one", "other", "stage"),
    [
        ("main", f"obs_{A}", "inference"),
        ("main", f"obs_{B}", "capture"),
        (f"obs_{A}", f"cameras_{A}", "capture"),
        (f"obs_{B}", f"cameras_{B}", "capture"),
    ],
)
def test_a_line_is_cut_for_half_a_minute(cluster, day, slow_cameras, one, other, stage):
    reach(cluster, day, stage)
    with cluster.without_line(one, other):
        time.sleep(CUT)
    day.wait(timeout=900)
    day.keeps_the_promise()


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [300, -300])
def test_an_observers_clock_is_five_minutes_off(cluster, day, seconds):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler for a clock that is off: the distribution's package gcc")
    cluster.set_clock(f"obs_{A}", seconds)
    try:
        asked = cluster.run(f"obs_{A}", "date", "+%s", service=f"observer-{A}")
        assert abs(int(asked.stdout) - time.time() - seconds) < 60, asked
        for _ in range(2):
            day.send()
            day.wait(timeout=900)
    finally:
        cluster.set_clock(f"obs_{A}", 0)
    day.send()
    day.wait(timeout=900)
    day.keeps_the_promise()


@pytest.mark.faults
def test_two_triggerers_on_one_bay_and_one_of_them_dies(cluster, day, slow_cameras):
    second = cluster.add_triggerer(A)
    cluster.wait_until(lambda: len(cluster.live_triggerers()) >= 4, 120, "the second triggerer does not live")
    try:
        reach(cluster, day, "capture")
        cluster.stop(f"triggerer-{A}")
        day.wait(timeout=900)
    finally:
        cluster.start(f"triggerer-{A}")
        cluster.stop(second)
    day.keeps_the_promise()
