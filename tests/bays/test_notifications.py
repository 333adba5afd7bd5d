"""The `notifications` of a bay's file, and what `python -m bays validate` finds wrong with them."""

import subprocess
import sys

import pytest
import yaml

from bay_observation.errors import ConfigError
from bays import NOTICE_KINDS, Notification, load_bay
from bays.__main__ import main
from bays.notifications import check_notifier
from tracking import EventKind
from tracking.history import CameraChangeKind

SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
MAIL = {
    "name": "crane_office",
    "notifier": SMTP,
    "events": ["moved", "exited"],
    "arguments": {"to": "crane@yard.example", "subject": "{{ news.heading }}", "smtp_conn_id": "mail"},
}


def test_every_kind_of_event_can_be_told():
    assert {str(kind) for kind in (*EventKind, *CameraChangeKind)} == set(NOTICE_KINDS)


def test_a_bay_has_its_notifications(make_bay):
    (notification,) = make_bay(notifications=[MAIL]).notifications
    assert notification.events == ("moved", "exited")
    assert notification.arguments["smtp_conn_id"] == "mail"
    assert make_bay(notifications=[]).notifications == ()
    (everything,) = make_bay(notifications=[{"name": "all", "notifier": SMTP}]).notifications
    assert {"initial", *everything.events} == set(NOTICE_KINDS)
    assert "initial" not in everything.events  # what stood there when tracking began is no news


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("changes", "key", "reason"),
    [
        ({"events": ["vanished"]}, "notifications.0.events.0", "'appeared'"),
        ({"events": []}, "notifications.0.events", "names no event"),
        ({"notifier": "SmtpNotifier"}, "notifications.0.notifier", "no classpath"),
        ({"name": "Crane Office"}, "notifications.0.name", "pattern"),
        ({"name": "asset"}, "notifications.0.name", "choose another"),
        ({"every": 3}, "notifications.0.every", "Extra inputs"),
        ({"arguments": {"auth": {"password": "hidden"}}}, "notifications.0.arguments", "auth.password: a secret"),
        ({"arguments": {"url": "https://me:hidden@chat"}}, "notifications.0.arguments", "url: a secret"),
        ({"arguments": {"list": [{"api_key": "hidden"}]}}, "notifications.0.arguments", "list.0.api_key: a secret"),
    ],
)
def test_what_is_wrong_is_named_with_its_key_and_never_its_value(make_bay, changes, key, reason):
    with pytest.raises(ConfigError) as raised:
        make_bay(notifications=[MAIL | changes])
    assert f"{key}: " in str(raised.value)
    assert reason in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_two_recipients_have_two_names(make_bay):
    with pytest.raises(ConfigError, match="name used twice: crane_office"):
        make_bay(notifications=[MAIL, MAIL])


def test_a_notifier_that_is_installed_and_takes_its_arguments_is_right():
    check_notifier(Notification(**MAIL))


@pytest.mark.parametrize(
    ("notifier", "arguments", "reason"),
    [
        ("airflow.providers.nowhere.Notifier", {}, "no module airflow.providers.nowhere on this host"),
        ("airflow.providers.smtp.notifications.smtp.Smtp", {}, "has no class Smtp"),
        (SMTP, {"subject": "x"}, "SmtpNotifier needs the arguments to"),
        ("yard_notes.Chalk", {"board": "B", "colour": "red"}, "takes no colour; it takes board, size"),
        ("yard_notes.Chalk", {}, "needs the arguments board"),
    ],
)
def test_a_notifier_that_cannot_be_used_is_named(tmp_path, monkeypatch, notifier, arguments, reason):
    (tmp_path / "yard_notes.py").write_text(
        "raise RuntimeError('a check imports nothing')\nclass Chalk:\n    def __init__(self, board, *, size=3): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=reason) as raised:
        check_notifier(Notification(name="crane_office", notifier=notifier, arguments=arguments))
    assert "crane_office" in str(raised.value)


@pytest.mark.parametrize("source", [b"def (", b"\xff\xfe", b"x = 1\0", b"(" * 3000], ids=range(4))
def test_a_module_that_is_no_python_is_named(tmp_path, monkeypatch, source):
    (tmp_path / "crane_board.py").write_bytes(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"notification board: .*crane_board\.py is no Python that can be read"):
        check_notifier(Notification(name="board", notifier="crane_board.Board"))


def test_validate_names_file_and_recipient(make_bay, bays_folder, capsys):
    make_bay(notifications=[MAIL])
    assert main(["validate"]) == 0
    make_bay(notifications=[MAIL | {"arguments": {}}])
    assert load_bay("yard").notifications  # parsing looks no further
    assert main(["validate"]) == 1
    told = capsys.readouterr().err
    assert f"{bays_folder / 'yard.yaml'}: notification crane_office: SmtpNotifier needs the arguments to" in told


@pytest.mark.slow(1)
def test_validating_imports_no_airflow(make_bay, bays_folder):
    make_bay(notifications=[MAIL])
    code = (
        "import sys; from bays.__main__ import main; code = main(['validate']);"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'airflow']; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((bays_folder / "yard.yaml").read_text())["notifications"] == [MAIL]
