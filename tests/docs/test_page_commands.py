"""Every fenced example of the pages is run: commands as a person types them, a page at a time and in its order.

An example is run here, or by the test that `RUN_BY` names, or it stands in `NOT_RUN` with the reason.
"""

import io
import os
import re
import shlex
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bay_observation.cli import program_group
from bays import load_bay
from bays.loading import parse_bay

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")), PROJECT / "CONTRIBUTING.md"]
GENERATED = {"commands.md"}  # usage lines, written from the parsers themselves: tests/bay_observation/test_cli.py

# Page and language, and the test that runs the example there.
RUN_BY = {
    ("README.md", "python"): "tests/docs/test_examples.py",
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
# A line of an example that is not run, and why.
NOT_RUN = {
    r"make .+": "a target; CI runs lint, test and the image, the rest is measured by hand",
    r"\./start-\S+\.sh .*|deploy/compose\.sh .*|docker .*|mount .*": "hosts and containers: tests/compose/run.py",
    r"\$EDITOR .*|read -rs .*": "a person types",
    r"curl .*": "asks a server: tests/dashboard/test_api.py asks the same",
    r"airflow connections add .*": "Airflow's own command, on its database",
    r"(openssl|helm) .*": "another program's",
    r"bay-observation lab capacity values .* --schema .*": "the chart's own schema: tests/lab/capacity",
    r"bay-observation calibrate .* --click.*": "a person clicks: tests/fusion/test_clicking.py",
    r"bay-observation models serve.*": "a service: tests/inference/serving",
    r"bay-observation simulate serve.*|.* bay-observation simulate serve.*": "a service: tests/lab/simulation",
    r"bay-observation demo.*": "minutes of a real Airflow: tests/test_pipeline.py goes the same way",
    r"bay-observation triggerers status.*": "asks Airflow's database: tests/triggers/test_status.py",
    r"bay-observation metrics export --token-file.*": "a service: tests/dashboard/test_export.py",
    r"bay-observation store replicate": "a service: tests/artifacts/test_replication.py",
    r"bay-observation store convert .*": "needs a store of format 1: tests/artifacts/test_format1.py",
    r"bay-observation store clean --airflow.*": "cleans Airflow's database: tests/housekeeping",
    r"bay-observation camera refine-poses .*": "needs a day of blocks: tests/fusion/test_refining.py",
    r"bay-observation models (pick|import|score|train) .*": "frames that a person labelled: make check-tools, loop",
    r"bay-observation alerts (acknowledge|unmute) .*": "needs an alert that lasts: tests/dashboard/alerting",
    r"bay-observation legacy .*": "an old Redis: tests/legacy runs each of them",
    r"\.venv/bin/python -m pytest.*": "this is what runs",
}
# Examples of another kind that are not run.
SHOWN = {
    ("README.md", ""): "a drawing",
    ("alerting.md", ""): "a drawing",
    ("add_a_bay.md", ""): "messages: tests/bays/test_loading.py",
    ("architecture.md", ""): "a drawing",
    ("network.md", ""): "a drawing",
    ("cameras.md", ""): "a message of the log",
    ("dashboard.md", "sql"): "PostgreSQL's own: tests/dashboard grants the same",
    ("dashboard.md", "python"): "asks a server: tests/dashboard/test_client.py",
    ("events.md", "python"): "one line of docs/examples/report_moves.py, which is run",
    ("events.md", "json"): "what listeners get: tests/operators",
    ("inference_server.md", "ini"): "systemd's",
    ("triggerers.md", "ini"): "Airflow's: tests/test_triggerers.py sets it",
    ("migration.md", "text"): "lines of the old system",
    ("migration.md", "yaml"): "tests/bays/test_migration.py",
    ("write_a_provider.md", "toml"): "another package's",
}
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


def why_not(line):
    return next((why for pattern, why in NOT_RUN.items() if re.fullmatch(pattern, _without_comment(line))), "")


def _without_comment(line):
    return re.split(r" +# ", line, maxsplit=1)[0].strip()


def test_every_example_is_run_or_says_why_not(record_testsuite_property):
    lines = [bool(why_not(line)) for several in by_page().values() for line, _ in several]
    others = [(one.page, one.language) in SHOWN for one in examples() if one.language not in ("console", "bash")]
    skipped = sum(lines) + sum(others)
    record_testsuite_property("examples_run", len(lines) + len(others) - skipped)
    record_testsuite_property("examples_not_run", skipped)
    kinds = {(one.page, one.language) for one in examples() if one.language not in ("console", "bash", "yaml")}
    left = kinds - RUN_BY.keys() - SHOWN.keys()
    assert left == set()


def test_no_reason_is_left_over():
    lines = [_without_comment(line) for several in by_page().values() for line, _ in several]
    assert [p for p in NOT_RUN if not any(re.fullmatch(p, line) for line in lines)] == []
    kinds = {(one.page, one.language) for one in examples()}
    assert [kind for kind in {*RUN_BY, *SHOWN} if kind not in kinds] == []
    named = re.findall(r"tests/[\w/.]+", " ".join([*RUN_BY.values(), *NOT_RUN.values(), *SHOWN.values()]))
    assert [path for path in named if not (PROJECT / path.rstrip(".")).exists()] == []


@pytest.mark.parametrize(
    "example",
    [one for one in examples() if one.language == "yaml" and (one.page, "yaml") not in SHOWN.keys() | RUN_BY.keys()],
    ids=lambda one: one.page,
)
def test_keys_of_a_bay_are_keys_of_a_bay(example, make_bay):
    """Each YAML example is a part of a bay's file: a bay with it is read."""
    content = yaml.safe_load((PROJECT / "bays" / "demo_bay.yaml").read_text(encoding="utf-8"))
    part = yaml.safe_load(example.text)
    if "cameras" in part:
        content["network"] = {"camera_subnet": "10.150.160.0/24", "observer_ip": "10.150.160.1"}
        content["camera_quorum"] = 1
    parse_bay(Path("yard.yaml"), yaml.safe_dump(content | part), "yard")


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


def test_the_python_of_a_page_runs_on_the_desk(desk, store, capsys):
    """The addresses of a yard's own servers stand for those of the desk."""
    here = repr(f"sqlite:///{store.root}/history.db")
    for page in ("at_the_camera_cabinet.md", "history.md"):
        for example in (one for one in examples() if (one.page, one.language) == (page, "python")):
            code = example.text.replace('"postgresql://reader@db.yard/bays"', here)
            exec(compile(code, page, "exec"), {"__name__": "example"})
    area = capsys.readouterr().out.split()[0]
    assert area in load_bay("3bay_north").layout.areas


def test_the_routes_of_a_page_are_routes(tmp_path):
    from dashboard.alerting.routes import load_routes

    [example] = [one for one in examples() if (one.page, one.language) == ("alerting.md", "yaml")]
    (tmp_path / "alerting.yaml").write_text(example.text, encoding="utf-8")
    assert {route.name for route in load_routes(tmp_path / "alerting.yaml").routes} >= {"shift_lead", "crane_office"}


# Pages that show another store's figures below a command.
EXAMPLE_FIGURES = {"storage.md"}
# Of the examples' small day: one that has no answer there.
STATUS = {
    r"bay-observation camera check-poses .*": 3,  # two blocks are too few to judge twelve cameras by
    r"bay-observation camera health .*": 1,  # no capture was recorded
    r"bay-observation models drift .*": 3,  # a day is too short to compare with
    r"bay-observation models health .*": 1,  # no server runs
}


@pytest.mark.slow(3)
@pytest.mark.parametrize("page", sorted(by_page()))
def test_the_commands_of_a_page_run_in_their_order(page, desk):
    for line, shown in by_page()[page]:
        if why_not(line):
            continue
        status, said = _typed(line, desk)
        typed = _without_comment(line)
        expected = next((value for pattern, value in STATUS.items() if re.fullmatch(pattern, typed)), 0)
        assert status == expected, f"{page}: {line}\nends with {status}:\n{said[-3000:]}"
        if page not in EXAMPLE_FIGURES:
            assert [text for text in shown if text not in said] == [], said


def _typed(line, folder):
    """The exit status and the output of a line, as a shell in that folder would have them."""
    words = shlex.split(line, comments=True)
    target = None
    if ">" in words:
        target = folder / words[words.index(">") + 1]
        words = words[: words.index(">")]
    if words[0] == "export":
        os.environ.update(word.split("=", 1) for word in words[1:])
        return 0, ""
    if words[0] == "cat":
        return 0, (folder / words[1]).read_text()
    assert words[0] == "bay-observation", f"{line}: neither run here nor in NOT_RUN"
    said = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(said))
        stack.enter_context(redirect_stderr(said))
        try:
            status = program_group().main(words[1:], prog_name="bay-observation", standalone_mode=False)
        except SystemExit as error:
            status = error.code
    if target is not None:
        target.write_text(said.getvalue())
    return int(status or 0), said.getvalue()
