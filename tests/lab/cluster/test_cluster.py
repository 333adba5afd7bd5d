"""Two bays on hosts of their own: who does what where, who talks to whom, and a bay that is cut off."""

import shutil
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from artifacts import ArtifactStore
from bays import batch_id, dag_id
from lab.cluster import account
from tracking import Tracker

pytestmark = [pytest.mark.slow(20), pytest.mark.timeout(900)]

A, B = "3bay_north", "4bay"
TASKS = {
    "capture_images",
    "check_should_proceed",
    "run_inference",
    "trigger_fusion",
    "process_fusion",
    "trigger_tracking",
    "process_tracking",
}
NO_WAY = r"unreachable|No route|timed out"
# docs/network.md has the same table.
CONNECTIONS = {
    ("obs", "main", 55432),  # PostgreSQL: results, history, the triggerer's database
    ("obs", "main", 56379),  # Redis
    ("obs", "main", 8080),  # API server: what tasks ask
    ("main", "obs", 8793),  # a worker's logs
    ("main", "obs", 8794),  # a triggerer's logs
}


def cameras_of(cluster, bay):
    return {str(camera.host) for camera in cluster.bays[bay].cameras}


def test_both_bays_travel_the_whole_way_and_every_task_runs_on_its_queues_host(cluster, day):
    slot = day.send()
    day.wait()
    for bay in (A, B):
        tasks = day.tasks(bay, slot)
        assert set(tasks) == TASKS
        for name, task in tasks.items():
            assert (task["state"], task["try_number"]) == ("success", 1), f"{bay} {name}: {task}"
            assert task["hostname"] == cluster.host_of_queue(task["queue"]), f"{bay} {name}: {task}"
        on_observer = {name for name, task in tasks.items() if task["hostname"] == f"observer-{bay}"}
        assert on_observer == {"capture_images", "check_should_proceed", "run_inference", "trigger_fusion"}
    day.keeps_the_promise()


def test_the_api_server_shows_the_log_that_lies_on_an_observer(cluster, day):
    log = cluster.task_log(dag_id("observation", A), day.run("observation", A, day.slots[0]), "capture_images")
    assert f"http://observer-{A}:8793/" in log
    assert "2 cameras, quorum 2" in log


def test_the_log_of_a_capture_that_is_under_way_can_be_reached(cluster):
    with cluster.on_host("main"):
        socket.create_connection((cluster.host(f"obs_{A}").address, 8794), timeout=10).close()


def test_hosts_connect_to_one_another_on_the_documented_ports_alone(cluster):
    def seen():
        between = cluster.connections()
        return {(one.partition("_")[0], other.partition("_")[0], port) for one, other, port in between}

    ends = time.monotonic() + 10
    while not seen() >= CONNECTIONS and time.monotonic() < ends:  # packets are read a moment after they pass
        time.sleep(0.1)
    assert seen() == CONNECTIONS


def test_a_camera_hears_its_own_observer_alone(cluster, day):
    packets = cluster.packets_to_cameras()
    assert packets["router"] == {}
    for bay in (A, B):
        observer = cluster.host(f"obs_{bay}").address
        assert {source for source, _ in packets[f"cameras_{bay}"]} == {observer}
        assert {camera for _, camera in packets[f"cameras_{bay}"]} == cameras_of(cluster, bay)
        assert all(count > 0 for count in packets[f"cameras_{bay}"].values())


@pytest.mark.parametrize("sender", ["main", f"obs_{B}"])
def test_a_packet_from_another_host_ends_at_the_router_and_is_counted(cluster, sender):
    camera = next(iter(cameras_of(cluster, A)))
    before = cluster.packets_to_cameras()
    with cluster.on_host(sender), pytest.raises(OSError, match=NO_WAY):
        socket.create_connection((camera, 80), timeout=3).close()
    stray = (cluster.host(sender).address, camera)
    cluster.wait_until(
        lambda: cluster.packets_to_cameras()["router"][stray] > before["router"][stray], 30, "not counted at the router"
    )
    assert cluster.packets_to_cameras()[f"cameras_{A}"][stray] == 0


def test_no_bay_reaches_another_bays_observer(cluster):
    for port in (8793, 8794):
        with cluster.on_host(f"obs_{B}"), pytest.raises(OSError, match=NO_WAY):
            socket.create_connection((cluster.host(f"obs_{A}").address, port), timeout=3).close()


def test_an_observers_worker_has_no_address_of_airflows_database(cluster, day):
    # It did every task of the first slot without.
    for process in cluster.processes(f"observer-{A}")[:1]:
        assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in process.environ()


def test_a_bay_that_is_cut_off_holds_up_nobody_and_goes_on_when_it_is_back(cluster, day):
    began = datetime.now(UTC)
    with cluster.without_line("main", f"obs_{A}"):
        slot = day.send()
        day.wait(B)
        tries = {task["try_number"] for task in day.tasks(B, slot).values()}
        assert tries == {1}
        time.sleep(max(0.0, 30 - (datetime.now(UTC) - began) / timedelta(seconds=1)))
        assert day.state(A, slot, "capture_images") != "success"
        late = day.send()
        day.wait(B)
    cluster.wait_until(lambda: day.state(A, slot, "capture_images") == "success", 300, "no capture after the cut")
    cluster.set_time(late + timedelta(minutes=5))  # the yard has moved on, or the next frames would be taken for stale
    for pending in (slot, late):
        day.wait(A, slot=pending)
    day.keeps_the_promise()


def test_the_account_sees_a_batch_that_is_lost_or_out_of_order(cluster, day, tmp_path, monkeypatch):
    shutil.copytree(cluster.data(), tmp_path / "data")
    monkeypatch.setattr(cluster, "data", lambda: tmp_path / "data")
    store, (first, second, *_) = ArtifactStore(tmp_path / "data"), [batch_id(A, slot) for slot in day.slots]
    fused = store.load(store.find("fusion", A, second))
    store.save("tracking", A, second, Tracker(cluster.bays[A], None).update(fused))
    (tmp_path / "data" / store.find("tracking", A, first).path).unlink()
    assert account(cluster, A, day.slots).wrong == (
        f"{first} was captured and not tracked",
        f"{second} is not what its fusion comes to in order",
    )
