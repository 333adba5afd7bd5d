"""Every fenced example of the pages is run: commands as a person types them, a page at a time and in its order.

An example is run here, or by the test that `RUN_BY` names. Where it needs containers or a person's own
hosts, the parser of its program or a stand-in reads it, and it counts apart (`tests/docs/terminal.py`).
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bays import load_bay
from bays.loading import parse_bay
from tests.deploy.conftest import made_before, make_host  # noqa: F401 - fixtures
from tests.docs.places import place_of
from tests.docs.terminal import CHECKED, Terminal, why_checked, without_comment

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")), PROJECT / "CONTRIBUTING.md"]
GENERATED = {"commands.md"}  # usage lines, written from the parsers themselves: tests/bay_observation/test_cli.py

# Page and language, and the test that runs the example there.
RUN_BY = {
    ("add_a_bay.md", "csv"): "tests/docs/test_page_commands.py",
    ("add_a_bay.md", "text"): "tests/docs/test_page_commands.py",
    ("dashboard.md", "python"): "tests/docs/test_other_examples.py",
    ("dashboard.md", "sql"): "tests/docs/test_other_examples.py",
    ("events.md", "json"): "tests/docs/test_other_examples.py",
    ("events.md", "python"): "tests/docs/test_other_examples.py",
    ("inference_server.md", "ini"): "tests/docs/test_other_examples.py",
    ("migration.md", "text"): "tests/docs/test_other_examples.py",
    ("triggerers.md", "ini"): "tests/docs/test_other_examples.py",
    ("write_a_provider.md", "toml"): "tests/docs/test_other_examples.py",
    ("README.md", "python"): "tests/docs/test_examples.py",
    ("alerting.md", "python"): "tests/docs/test_other_examples.py",
    ("alerting.md", "yaml"): "tests/docs/test_page_commands.py",
    ("at_the_camera_cabinet.md", "python"): "tests/docs/test_page_commands.py",
    ("history.md", "python"): "tests/docs/test_page_commands.py",
    ("operators.md", "python"): "tests/docs/test_examples.py",
    ("operators.md", "text"): "tests/docs/test_examples.py",
    ("operators.md", "json"): "tests/docs/test_operators_page.py",
    ("storage.md", "python"): "tests/docs/test_examples.py",
    ("storage.md", "text"): "tests/docs/test_examples.py",
    ("write_a_provider.md", "python"): "tests/capture_async/test_write_a_provider.py",
    ("write_a_provider.md", "yaml"): "tests/capture_async/test_write_a_provider.py",
}
# Pages with a drawing, or a message as it is printed: nothing that is typed.
DRAWN = {"README.md", "alerting.md", "add_a_bay.md", "architecture.md", "network.md", "cameras.md"}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    page: str
    language: str
    text: str

    @property
    def commands(self):
        """Each line that a person types, continued lines joined, and the lines that the page shows below it."""
        joined = self.text.replace("\\\n", " ")
        if self.language == "bash":
            return [(line, []) for line in joined.splitlines() if line.strip()]
        found = []
        for line in joined.splitlines():
            if typed := re.fullmatch(r"\S*[$] +(.*)", line):
                found.append((typed[1], []))
            elif line.strip():
                found[-1][1].append(line)
        return found


def examples():
    for page in PAGES:
        if page.name not in GENERATED:
            for language, text in _FENCE.findall(page.read_text(encoding="utf-8")):
                yield Example(page.name, language, text)


def by_page():
    found = {}
    for example in examples():
        if example.language in ("console", "bash"):
            found.setdefault(example.page, []).extend(example.commands)
    return found


def test_every_example_is_run_or_says_why_not(record_testsuite_property):
    lines = [bool(why_checked(line)) for several in by_page().values() for line, _ in several]
    others = [one for one in examples() if one.language not in ("console", "bash", "")]
    record_testsuite_property("examples_run", lines.count(False) + len(others))
    record_testsuite_property("examples_checked", sum(lines))
    record_testsuite_property("examples", len(lines) + len(others))
    kinds = {(one.page, one.language) for one in others if one.language != "yaml"}
    assert kinds - RUN_BY.keys() == set()
    assert {one.page for one in examples() if one.language == ""} == DRAWN


def test_no_reason_is_left_over():
    lines = [without_comment(line) for several in by_page().values() for line, _ in several]
    assert [p for p in CHECKED if not any(re.fullmatch(p, line) for line in lines)] == []
    kinds = {(one.page, one.language) for one in examples()}
    assert [kind for kind in RUN_BY if kind not in kinds] == []
    named = re.findall(r"tests/[\w/.]+", " ".join([*RUN_BY.values(), *CHECKED.values()]))
    assert [path for path in named if not (PROJECT / path.rstrip(".")).exists()] == []


@pytest.mark.parametrize(
    "example",
    [one for one in examples() if one.language == "yaml" and (one.page, "yaml") not in RUN_BY],
    ids=lambda one: one.page,
)
def test_keys_of_a_bay_are_keys_of_a_bay(example, make_bay):
    """Each YAML example is a part of a bay's file: a bay with it is read."""
    content = yaml.safe_load((PROJECT / "bays" / "demo_bay.yaml").read_text(encoding="utf-8"))
    part = yaml.safe_load(example.text)
    if "cameras" in part:
        content["network"] = {"camera_subnet": "10.150.160.0/24", "observer_ip": "10.150.160.1"}
        content["camera_quorum"] = 1
    assert parse_bay(Path("yard.yaml"), yaml.safe_dump(content | part), "yard").bay_id == "yard"


@pytest.fixture(scope="module")
def drawn_frame():
    """Of camera C_4, as the simulation draws it."""
    from lab.simulation.rendering import FrameSource
    from lab.simulation.yard import DEFAULT_START, Yard

    return FrameSource(Yard(load_bay("demo_bay"), blocks=0))("C_4", DEFAULT_START)


@pytest.fixture
def desk(day, kept_history, drawn_frame, tmp_path, monkeypatch):
    """A folder to work in: the shipped bays beside the examples' one, a store and a history of that day and of now."""
    for path in (PROJECT / "bays").glob("*.yaml"):
        target = tmp_path / "bays" / path.name
        if not target.exists():
            target.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SPOOL_PATH", str(tmp_path / "spool"))
    monkeypatch.setenv("CAMERA_USER", "")  # a page sets it; it is put back after the test
    (folder / "frames").mkdir()
    (folder / "frames" / f"{day.bay.bay_id}_C_4_20250702071000.jpg").write_bytes(drawn_frame)
    (folder / "blocks.csv").write_text("number,area\n4413P,A27\n")
    (folder / "params.yaml").write_text("camera_quorum: 6\nmodels: {min_confidence: 0.35}\n")
    return folder


@pytest.mark.slow(1)
def test_the_python_of_a_page_runs_on_the_desk(desk, store, capsys):
    """The addresses of a yard's own servers stand for those of the desk."""
    here = repr(f"sqlite:///{store.root}/history.db")
    for page in ("at_the_camera_cabinet.md", "history.md"):
        for example in (one for one in examples() if (one.page, one.language) == (page, "python")):
            code = example.text.replace('"postgresql://reader@db.yard/bays"', here)
            exec(compile(code, page, "exec"), {"__name__": "example"})
    area = capsys.readouterr().out.split()[0]
    assert area in load_bay("3bay_north").layout.areas


def test_the_tables_of_a_survey_begin_as_the_files_that_the_page_lets_copy():
    folder = PROJECT / "docs" / "examples" / "survey"
    files = [path.read_text(encoding="utf-8") for path in folder.glob("*.csv")]
    shown = [one.text for one in examples() if one.language == "csv"]
    assert len(shown) == len(files) == 3
    assert [text for text in shown if not any(file.startswith(text) for file in files)] == []
    [text] = [one.text for one in examples() if (one.page, one.language) == ("add_a_bay.md", "text")]
    assert text == (folder / "survey.txt").read_text(encoding="utf-8")


def test_a_survey_as_tables_gives_the_same_bay_as_the_text(tmp_path, monkeypatch):
    from bays.__main__ import main

    shutil.copytree(PROJECT / "bays", tmp_path / "bays", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setenv("BAYS_PATH", str(tmp_path / "bays"))
    folder = PROJECT / "docs" / "examples" / "survey"
    tables = [word for name in ("areas", "cameras", "marks") for word in (f"--{name}", str(folder / f"{name}.csv"))]
    made = []
    for survey in (["--survey", str(folder / "survey.txt")], ["--hall", "80x34", *tables]):
        assert main(["new", "6bay_south", "--from", "3bay_north", *survey]) == 0
        made.append(load_bay("6bay_south"))
        (tmp_path / "bays" / "6bay_south.yaml").unlink()
    text, table = made
    assert text.layout == table.layout
    assert [one.pose for one in text.cameras] == [one.pose for one in table.cameras]
    assert [one.intrinsics for one in text.cameras] == [one.intrinsics for one in table.cameras]
    assert {(mark.x, mark.y) for mark in table.witnesses.values()} <= {(m.x, m.y) for m in text.witnesses.values()}


def test_the_routes_of_a_page_are_routes(tmp_path):
    from dashboard.alerting.routes import load_routes

    [example] = [one for one in examples() if (one.page, one.language) == ("alerting.md", "yaml")]
    (tmp_path / "alerting.yaml").write_text(example.text, encoding="utf-8")
    assert {route.name for route in load_routes(tmp_path / "alerting.yaml").routes} >= {"shift_lead", "crane_office"}


# Pages that show another store's figures below a command.
EXAMPLE_FIGURES = {"storage.md", "calibrate_a_camera.md", "triggerers.md"}
# Of the examples' small day: one that has no answer there.
STATUS = {
    r"bay-observation camera overlay 3bay_north --out overlays": 1,  # the day has no frame of D_11
    r"bay-observation camera health .*": 3,  # no capture was recorded
    r"bay-observation models drift .*": 3,  # a day is too short to compare with
    r"bay-observation models health .*": 1,  # no server runs
    r"bay-observation legacy compare .*": 1,  # the two sides of the examples have little in common
    r"bay-observation triggerers status": 1,  # a queue without a triggerer
}


@pytest.fixture
def terminal(desk, request):
    """On the desk, with stand-ins of the programs of other hosts."""
    host = request.getfixturevalue("make_host")()
    for name in ("helm", "mount", "ssh", "editor"):
        shutil.copy(host.programs / "docker", host.programs / name)
    for name in ("airflow", "bay_history"):
        (host.folder / f"{name}.dump").write_bytes(b"")
    return Terminal(desk, {}, {}, host)


@pytest.mark.slow(3)
@pytest.mark.parametrize("page", sorted(by_page()))
def test_the_commands_of_a_page_run_in_their_order(page, terminal, monkeypatch):
    with place_of(page)(terminal, monkeypatch):
        for line, shown in by_page()[page]:
            status, said = terminal.type(line)
            typed = without_comment(line)
            expected = next((value for pattern, value in STATUS.items() if re.fullmatch(pattern, typed)), 0)
            assert status == expected, f"{page}: {line}\nends with {status}:\n{said[-3000:]}"
            if page not in EXAMPLE_FIGURES and not why_checked(line):
                assert [text for text in shown if text not in said] == [], said
