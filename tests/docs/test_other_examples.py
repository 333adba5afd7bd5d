"""Examples that are no command: parts of configurations, of another program, of another language."""

import ast
import configparser
import json
import pickle
import subprocess
import sys
import textwrap
import tomllib
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
import yaml

from bay_observation.cli import ENTRIES
from bay_observation.errors import ConfigError
from bay_observation.settings import Setting
from bays.loading import parse_bay
from bays.provider_configs import PROVIDER_GROUP
from lab.services.redis import redis_at
from tests.docs.places import served_bays
from tests.docs.test_page_commands import PROJECT, examples


def of(page, language):
    found = [one.text for one in examples() if (one.page, one.language) == (page, language)]
    assert found
    return found


def test_a_dag_of_ones_own_waits_for_the_asset():
    [line] = of("events.md", "python")
    whole = ast.parse((PROJECT / "docs/examples/report_moves.py").read_text(encoding="utf-8"))
    shown = ast.parse(line.replace("...)", "**{})") + "    pass\n").body[0].items[0].context_expr
    used = next(node for node in whole.body if isinstance(node, ast.With)).items[0].context_expr
    assert ast.dump(shown.func) == ast.dump(used.func)
    assert ast.dump(shown.args[0]) == ast.dump(used.args[0])
    assert {word.arg for word in shown.keywords} - {None} <= {word.arg for word in used.keywords}


def test_a_task_that_fails_sends_a_message(make_bay):
    make_bay("3bay_north")
    names = {}
    exec(of("alerting.md", "python")[0], names)
    [sends] = names["dag"].get_task("process_fusion").on_failure_callback
    assert (sends.channel.kind, sends.channel.connection) == ("apprise", "yard_chat")


@pytest.mark.slow(4)
def test_a_program_asks_the_bays_pages(day, kept_history, tmp_path, monkeypatch, capsys):
    with served_bays(SimpleNamespace(folder=tmp_path), monkeypatch) as (url, token):
        [code] = of("dashboard.md", "python")
        exec(compile(code.replace("https://airflow.yard/", url), "dashboard.md", "exec"), {"token": token})
    assert f"{day.bay.bay_id}-000012" in capsys.readouterr().out


@pytest.mark.slow(3)
def test_the_dashboards_role_reads_and_reviews_and_no_more():
    import sqlalchemy

    from lab.services.postgresql import PostgreSQL
    from tracking.history import History

    with PostgreSQL() as server:
        engine = sqlalchemy.create_engine(server.url)
        with History(server.url) as history:
            history.database.migrate()
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE ROLE dashboard")
            for statement in of("dashboard.md", "sql")[0].strip().splitlines():
                connection.exec_driver_sql(statement)
            allowed = "SELECT has_table_privilege('dashboard', %s, %s)"
            for table, right, may in (
                ("history_tracks", "SELECT", True),
                ("history_reviews", "INSERT", True),
                ("history_tracks", "DELETE", False),
            ):
                assert connection.exec_driver_sql(allowed, (table, right)).scalar() is may
        engine.dispose()


def test_what_an_asset_event_carries():
    from operators._notify import asset_extra

    [text] = of("events.md", "json")
    shown = json.loads(text)
    real = asset_extra(shown["bay_id"], datetime(2025, 7, 2, 7, 10, tzinfo=UTC), [])
    assert list(shown) == list(real)
    assert [shown[name] for name in ("bay_id", "batch_id", "slot")] == [*real.values()][:3]


def test_the_unit_of_the_warm_server_starts_a_command_that_there_is():
    unit = configparser.ConfigParser()
    unit.optionxform = str
    unit.read_string(of("inference_server.md", "ini")[0])
    program, *words = unit["Service"]["ExecStart"].split()
    assert program.endswith("/bay-observation")
    entry = next(entry for entry in ENTRIES if entry.path == tuple(words[:2]))
    entry.parser().parse_args(words[2:])
    from bay_observation import settings

    known = {one.name for one in vars(settings).values() if isinstance(one, Setting)}
    assert {word.split("=")[0] for word in unit["Service"]["Environment"].split()} <= known


def test_the_option_of_triggerers_is_airflows():
    from airflow.configuration import conf

    wanted = configparser.ConfigParser()
    wanted.read_string(of("triggerers.md", "ini")[0])
    assert wanted.sections() == ["triggerer"]
    for name in wanted["triggerer"]:
        assert isinstance(conf.getboolean("triggerer", name), bool)
        assert wanted.getboolean("triggerer", name)


def test_the_entry_point_of_a_provider_is_of_the_group_that_is_read():
    [(group, names)] = tomllib.loads(of("write_a_provider.md", "toml")[0])["project"]["entry-points"].items()
    assert group == PROVIDER_GROUP
    assert all(EntryPoint(name, value, group).attr for name, value in names.items())


@pytest.mark.slow(1)
def test_the_old_hosts_pickles_become_a_dump(tmp_path):
    record = {"camera_name": "C_4", "captured_at": datetime(2025, 7, 2, 16, 10)}
    (tmp_path / "old.pkl").write_bytes(pickle.dumps(record))
    command = [sys.executable, "-c", of("migration.md", "text")[0], str(tmp_path / "old.pkl")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert '"camera_name": "C_4"' in said


@pytest.mark.slow(1)
def test_the_old_producer_publishes_through_the_script_while_it_owns_the_bay(tmp_path, monkeypatch):
    code = of("migration.md", "text")[1]
    turn = "def wait_until_next_execution():\n    waited.append(1)\nfor _ in [0]:\n" + textwrap.indent(code, "    ")
    monkeypatch.chdir(PROJECT / "legacy")
    with (
        redis_at(tmp_path, password="s3cret") as server,
        redis.Redis(port=server.port, password="s3cret") as old,
    ):
        key = "bay_observation:owner:3bay_north"
        names = {"redis": old, "owner_key": key, "last_key": "last", "hash_key": "hash", "waited": [], "Path": Path}
        names |= {"slot": "20250702-071000", "message": "{}", "expires_s": 60, "fields": {"C_4": "record"}}
        exec(compile(turn, "migration.md", "exec"), names)
        assert (len(names["waited"]), old.hgetall("hash")) == (1, {})
        old.set(key, "old")
        exec(compile(turn, "migration.md", "exec"), names)
        assert old.hgetall("hash") == {b"C_4": b"record"}


def test_messages_of_a_wrong_file_are_those_of_the_page():
    [shown] = [one.text for one in examples() if one.page == "add_a_bay.md" and one.language == ""]
    content = yaml.safe_load((PROJECT / "bays/3bay_north.yaml").read_text(encoding="utf-8"))
    cameras = [{"name": name, "host": f"10.150.163.{101 + n}"} for n, name in enumerate(("E_1", "E_2"))]
    content |= {"network": {"camera_subnet": "10.150.163.0/24", "observer_ip": "10.150.163.1"}, "camera_quorum": 1}
    for changed in ({"port": 70000}, {"host": "10.150.161.102"}):
        text = yaml.safe_dump(content | {"cameras": [cameras[0], cameras[1] | changed]})
        with pytest.raises(ConfigError) as caught:
            parse_bay(PROJECT / "bays/6bay_south.yaml", text, "6bay_south")
        assert str(caught.value).splitlines()[0].split(": ", 1)[1] in shown
