"""The users of `deploy/redis-acl.sh` in a real Redis: a worker takes from its queue as kombu does, and does no more."""

import subprocess
import time
from pathlib import Path

import pytest
import redis
from kombu import Connection, Producer, Queue

from lab.services.ports import free_port
from lab.services.redis import redis_server

ACL = Path(__file__).parents[2] / "deploy/redis-acl.sh"
WORKERS = ("obs_a", "obs_a_2", "proc_a,default")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    for name in ("redis_password", *(f"redis_{worker.partition(',')[0]}" for worker in WORKERS)):
        (folder / name).write_text(f"secret-of-{name}")
    users = subprocess.run([ACL, folder, *WORKERS], capture_output=True, text=True, check=True).stdout
    (folder / "users.acl").write_text(users)
    settings = [f'bind 127.0.0.1\nport {port}\naclfile {folder}/users.acl\nsave ""\ndir {folder}\n']
    (folder / "redis.conf").write_text("".join(settings))
    server = subprocess.Popen([redis_server(), folder / "redis.conf"], stdout=subprocess.DEVNULL)
    try:
        yield (
            lambda user: (
                f"redis://{user}:secret-of-redis_{'password' if user == 'airflow' else user}@127.0.0.1:{port}/0"
            )
        )
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="module")
def client(address):
    def connect(user):
        connected = redis.Redis.from_url(address(user))
        deadline = time.monotonic() + 10
        while True:
            try:
                connected.ping()
            except redis.exceptions.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return connected

    return connect


def options(user, visibility_timeout=300):
    keys = {f"{key}_key": f"{key}.{user}" for key in ("unacked", "unacked_index", "unacked_mutex")}
    return keys | {"visibility_timeout": visibility_timeout}


def send(address, queue, body):
    with Connection(address("airflow")) as scheduler:
        Producer(scheduler).publish(body, exchange="", routing_key=queue, priority=5)


def take(connection, queue):
    """One message, not acknowledged yet."""
    taken = []
    with connection.Consumer(Queue(queue), callbacks=[lambda _, message: taken.append(message)], prefetch_count=1):
        connection.drain_events(timeout=5)
    return taken[0]


@pytest.mark.parametrize(("user", "queue"), [("obs_a", "obs_a"), ("proc_a", "proc_a"), ("proc_a", "default")])
def test_a_worker_takes_and_acknowledges_what_was_sent_to_its_queue(address, client, user, queue):
    client(user)
    send(address, queue, {"task": queue})
    with Connection(address(user), transport_options=options(user)) as worker:
        message = take(worker, queue)
        assert message.payload == {"task": queue}
        message.ack()
    assert client("airflow").hlen(f"unacked.{user}") == 0


def test_what_a_dead_worker_took_goes_back_to_its_queue(address, client):
    client("obs_a")
    send(address, "obs_a", {"task": "lost"})
    with Connection(address("obs_a"), transport_options=options("obs_a")) as dead:
        message = take(dead, "obs_a")
        message.channel.qos._delivered.clear()  # it does not even put back what it has, as in good order
    assert client("airflow").hlen("unacked.obs_a") == 1
    with Connection(address("obs_a"), transport_options=options("obs_a", visibility_timeout=0)) as worker:
        time.sleep(0.01)
        worker.default_channel.qos.restore_visible()
        again = take(worker, "obs_a")
        assert again.payload == {"task": "lost"}
        again.ack()


def test_a_heartbeat_is_sent_and_a_command_is_not(client):
    client("obs_a").publish("/0.celeryev/worker.heartbeat", "x")
    for channel in ("/0.celery.pidbox", "/0.other"):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client("obs_a").publish(channel, "x")


@pytest.mark.parametrize(
    "command",
    [
        "LPUSH obs_a_2 x", "LPUSH obs_b x", "LPUSH default x", "BRPOP obs_a_2 1", "LLEN proc_a", "HGET unacked x",
        "SADD _kombu.binding.proc_a x", "SMEMBERS _kombu.binding.celery.pidbox", "HGET unacked.obs_a_2 x", "KEYS *",
        "SCAN 0", "FLUSHALL", "CONFIG GET *", "ACL LIST", "CLIENT LIST", "MONITOR", "SHUTDOWN", "DBSIZE", "RANDOMKEY",
        "PSUBSCRIBE *", "INFO", "ROLE",
    ],
)  # fmt: skip
def test_nothing_else_is_a_worker_s(client, command):
    with pytest.raises(redis.exceptions.NoPermissionError):
        client("obs_a").execute_command(*command.split())


def test_a_script_has_no_more_rights(client):
    with pytest.raises(redis.exceptions.ResponseError, match=r"can't access|NOPERM"):
        client("obs_a").eval("return redis.call('LPUSH', 'obs_b', 'x')", 0)


def test_nobody_without_a_name(address, client):
    client("airflow")
    port = address("airflow").rpartition(":")[2].partition("/")[0]
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=int(port)).ping()
    for command in ("CONFIG GET *", "ACL LIST", "SHUTDOWN"):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client("airflow").execute_command(*command.split())
