"""The commands of a person: list, acknowledge, mute, check, try."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.alerting import __main__ as commands
from dashboard.alerting.__main__ import main
from dashboard.api import history as api_history
from tracking.history.alerts import alerts_of, begin_alert, mutes_at

ROUTES = """
zone: Asia/Seoul
channels: {hook: {kind: webhook, connection: yard_hook}}
routes: [{name: all, channels: [hook], match: {bays: [yard]}}]
"""


@pytest.fixture
def known(history, yard, monkeypatch):
    monkeypatch.setattr(api_history, "history", lambda: history)
    return history


@pytest.fixture
def lasting(known, silent):
    now = datetime.now(UTC)
    alert = replace(silent, since=now - timedelta(minutes=3), summary="nothing [bold]tracked")
    return begin_alert(known, alert, now)


@pytest.fixture
def routes(tmp_path, monkeypatch):
    path = tmp_path / "routes.yaml"
    path.write_text(ROUTES)
    monkeypatch.setenv("ALERT_ROUTES", str(path))
    return path


def test_an_alert_is_listed_and_acknowledged(lasting, known, capsys):
    assert main(["acknowledge", "a1a1", "--author", "kim"]) == 0
    assert "acknowledged by kim" in capsys.readouterr().out
    assert main(["acknowledge", "a1a1", "--author", "lee"]) == 0  # the first one counts
    assert alerts_of(known)[0].acknowledged_by == "kim"
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "nothing [bold]tracked" in said
    assert "kim" in said


@pytest.mark.parametrize("given", ["ffff", "", "%"])
def test_no_alert_of_that_name(lasting, capsys, given):
    assert main(["acknowledge", given]) == 1
    assert "alerts list" in capsys.readouterr().err


def test_a_mute_begins_and_ends(known, capsys):
    assert main(["mute", "--bay", "yard", "--for", "8h", "--reason", "crane [test]", "--author", "kim"]) == 0
    (mute,) = mutes_at(known, datetime.now(UTC))
    assert mute.covers("yard", "CameraDown")
    assert not mute.covers("", "DiskFillsUp")
    assert main(["list"]) == 0
    assert "crane [test]" in capsys.readouterr().out
    assert main(["unmute", mute.mute_id]) == 0
    assert mutes_at(known, datetime.now(UTC)) == []
    assert main(["unmute", mute.mute_id]) == 1


@pytest.mark.parametrize(
    "wrong", [["--for", "8"], ["--for=-8h"], ["--for", "8h", "--kind", "nonsense"], ["--for", "8h", "--bay", "none"]]
)
def test_a_mute_that_is_none(known, wrong):
    assert main(["mute", *wrong]) == 2
    assert mutes_at(known, datetime.now(UTC)) == []


def test_check(known, routes, capsys):
    assert main(["check"]) == 0
    assert "1 routes, 1 channels: in order" in capsys.readouterr().out
    routes.write_text(ROUTES.replace("[yard]", "[yart]"))
    assert main(["check"]) == 2
    assert "there is no bay yart" in capsys.readouterr().err


def test_try(known, routes, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW_CONN_YARD_HOOK", json.dumps({"conn_type": "http", "host": "http://127.0.0.1:1"}))
    assert main(["try", "hook"]) == 1
    assert "yard_hook: ConnectionError" in capsys.readouterr().err
    assert main(["try", "horn"]) == 2


def test_serve_needs_routes_and_a_token(known, routes, monkeypatch, capsys):
    assert main(["serve"]) == 2
    assert "--token-file" in capsys.readouterr().err
    monkeypatch.delenv("ALERT_ROUTES")
    assert main(["serve"]) == 2
    assert "ALERT_ROUTES" in capsys.readouterr().err


def test_a_fault_ends_no_service(monkeypatch, caplog):
    class Ended(BaseException):
        pass

    calls = []

    def tick():
        calls.append(1)
        if len(calls) == 3:
            raise Ended
        raise ValueError("unforeseen")

    monkeypatch.setattr(commands, "_TICK_S", 0.0)
    with pytest.raises(Ended):
        commands._tick_for_ever(tick)
    assert "unforeseen" in caplog.text


def test_a_database_that_hangs_is_noticed_beside_the_tick_that_waits_for_it(monkeypatch):
    class Ended(BaseException):
        pass

    class Hanging:
        noticed = 0

        def ask_history(self):
            hangs.wait(20)

        def history_hangs(self):
            Hanging.noticed += 1
            if Hanging.noticed == 1:
                raise ZeroDivisionError  # of a channel: it is tried again
            raise Ended

    hangs = threading.Event()
    try:
        with pytest.raises(Ended):
            commands._watch_history(Hanging(), every_s=0.05, hangs_s=0.01)
    finally:
        hangs.set()
    assert Hanging.noticed == 2
