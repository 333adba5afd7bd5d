"""Waiting for an Airflow, which answers slowly when it is asked often."""

from datetime import UTC, datetime

import pytest

from lab.services import airflow_client
from lab.services.airflow_client import AirflowClient, AirflowClientError


class Clock:
    """Time passes while something sleeps or looks, and at no other time."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class Client(AirflowClient):
    url = "http://127.0.0.1:1"
    died = False

    def _check_alive(self):
        if self.died:
            raise AirflowClientError("the scheduler ended")


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(airflow_client, "time", clock)
    return clock


@pytest.fixture
def client(tmp_path):
    return Client(tmp_path)


@pytest.mark.parametrize(("look", "pause"), [(0.01, 0.25), (0.2, 1.8), (3.0, 2.0)])
def test_the_pause_is_in_proportion_to_the_look(client, clock, look, pause):
    def there():
        clock.now += look
        return len(clock.slept) == 2

    client.wait_until(there, 60, "not there")
    assert clock.slept == pytest.approx([pause, pause])


def test_a_wait_ends_with_its_complaint(client, clock):
    with pytest.raises(AirflowClientError, match=r"not there after 5 s; logs: .*logs"):
        client.wait_until(lambda: False, 5, "not there")
    assert 5 <= clock.now <= 6


def test_no_wait_for_what_has_died(client, clock):
    client.died = True
    with pytest.raises(AirflowClientError, match="the scheduler ended"):
        client.wait_until(lambda: False, 5, "not there")
    assert clock.slept == []


def test_a_backfill_waits_for_a_locked_database_and_for_nothing_else(client, clock, monkeypatch):
    answers = [
        AirflowClientError('POST backfills: 503 {"detail":"Database is locked."}'),
        AirflowClientError('POST backfills: 500 {"detail":{"reason":"Database error","statement":"hidden"}}'),
        {"id": 7},
    ]

    def ask(method, *_, **__):
        if method == "GET":
            return {"backfills": []}
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(client, "_ask", ask)
    slot = datetime(2025, 7, 2, tzinfo=UTC)
    assert client.backfill("a_dag", slot, slot) == 7
    assert len(clock.slept) == 2
    answers.append(AirflowClientError("POST backfills: 409 there is one"))
    with pytest.raises(AirflowClientError, match="409"):
        client.backfill("a_dag", slot, slot)
