"""`python -m lab.capacity`: the table, and values for Airflow's chart."""

import json

import pytest
import yaml

from lab.capacity.__main__ import main
from lab.capacity.chart import faults_of

SET = {"name": {"type": "string"}, "queue": {"type": "string"}, "persistence": {"type": "object"}}
KEDA = {
    "type": "object",
    "properties": {
        name: {"type": "integer"}
        for name in ("minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod")
    }
    | {"enabled": {"type": "boolean"}},
}


def schema_file(tmp_path, content, **changes):
    """A schema that knows what these values name, one level deep, with changes."""
    known = {name: {} for name in content}
    celery = {"properties": {name: {} for name in content["workers"]["celery"]} | SET | {"keda": KEDA}}
    rules = {"properties": known | {"workers": {"properties": {"celery": celery}}} | changes}
    path = tmp_path / "values.schema.json"
    path.write_text(json.dumps(rules))
    return path


@pytest.fixture
def content(results, make_bay, capsys):
    make_bay("north", enabled=True)
    make_bay("south", enabled=True)
    assert main(["values", "--results", str(results), "--tag", "1.0"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_the_table_and_the_bars(results, capsys, document):
    status = main(["plan", "--results", str(results), "--bays", "2,4"])
    said = capsys.readouterr().out
    assert "3 bays at once: model beside cluster" in said
    assert "4 bays" in said
    assert status == ("fails" in said)


def test_each_bay_has_workers_of_its_own(content):
    sets = content["workers"]["celery"]["sets"]
    assert [(one["name"], one["queue"]) for one in sets] == [("proc-north", "proc_north"), ("proc-south", "proc_south")]
    assert all(one["keda"]["enabled"] and one["keda"]["minReplicaCount"] == 1 for one in sets)
    assert content["triggerer"]["args"][-1].endswith("--queues default,proc_north,proc_south")
    assert content["config"]["triggerer"]["queues_enabled"] == "True"


def test_no_secret_stands_in_the_values(content):
    text = yaml.safe_dump(content)
    assert "password" not in text.lower()
    assert {"fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"} <= content.keys()


def test_the_charts_schema_is_asked(content, tmp_path, results, capsys):
    path = schema_file(tmp_path, content)
    assert faults_of(content, path) == []
    assert main(["values", "--results", str(results), "--tag", "1.0", "--schema", str(path)]) == 0
    path = schema_file(tmp_path, content, executor={"type": "integer"})
    assert main(["values", "--results", str(results), "--tag", "1.0", "--schema", str(path)]) == 1
    assert "$.executor" in capsys.readouterr().err


def test_names_that_the_chart_does_not_know(content, tmp_path):
    path = schema_file(tmp_path, content)
    content["shedulers"] = 2
    content["workers"]["celery"]["sets"][1]["keda"]["minReplicas"] = 1
    assert faults_of(content, path) == [
        "$.shedulers: the chart knows no such value",
        "$.workers.celery.sets[1].keda.minReplicas: a set knows no such value",
    ]


@pytest.mark.parametrize("text", ["0", "x", "2,,3", "1001"])
def test_numbers_of_bays_that_are_none(text):
    with pytest.raises(SystemExit):
        main(["plan", "--bays", text])


@pytest.mark.parametrize(
    ("text", "said"),
    [("no", "no JSON schema"), ("{}", "no schema of Airflow's chart"), ("true", "no schema of Airflow")],
)
def test_a_schema_that_is_none(tmp_path, results, make_bay, capsys, text, said):
    make_bay("north", enabled=True)
    (tmp_path / "schema.json").write_text(text)
    arguments = ["values", "--results", str(results), "--tag", "1", "--schema", str(tmp_path / "schema.json")]
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
