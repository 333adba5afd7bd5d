"""Python examples of the documentation run as they stand, a section at a time, and print what the page says."""

import contextlib
import io
import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest

from bay_observation.cli import ENTRIES
from bay_observation.commands import existing_path

PROJECT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/operators.md", "docs/storage.md")

_EXAMPLE = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def sections():
    for page in PAGES:
        text = (PROJECT / page).read_text(encoding="utf-8")
        for section in re.split(r"^(?=## )", text, flags=re.MULTILINE):
            if "```python" in section:
                heading = section.splitlines()[0].lstrip("# ")
                models = [pytest.mark.slow] if "InferenceService" in section else []
                yield pytest.param(section, id=f"{page}: {heading}", marks=models)


@pytest.mark.parametrize("section", list(sections()))
def test_an_example_runs_and_prints_what_the_page_says(section, day, monkeypatch):
    monkeypatch.setenv("CAMERA_PASSWORD", "not asked for")
    examples = _EXAMPLE.findall(section)
    assert len(examples) == section.count("```python")
    names = {"__name__": "example"}
    for code, expected in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "example", "exec"), names)
        assert printed.getvalue() == expected


def commands():
    """Each `$ bay-observation …` of a fenced example, continued lines joined, without its comment."""
    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in re.findall(r"^\S*[$#] +(?:\.venv/bin/)?bay-observation (.*)", block, re.MULTILINE):
                yield pytest.param(line, id=f"{path.name}: {line}"[:100])


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("line", list(commands()))
def test_a_command_of_a_page_is_one_that_can_be_typed(line):
    words = tuple(takewhile(lambda word: word not in ("|", ">", "&&"), shlex.split(line, comments=True)))
    found = [entry for entry in ENTRIES if words[: len(entry.path)] == entry.path]
    assert found, f"there is no bay-observation {line}"
    for entry in found:
        parser = entry.parser()
        for action in parser._actions:
            if action.type is existing_path:  # the reader's files, which are not here
                action.type = Path
        parser.parse_args(words[len(entry.path) :])


def test_the_dag_of_the_page_is_a_chain_of_the_four_stages(day):
    page = (PROJECT / "docs/operators.md").read_text(encoding="utf-8")
    names = {"__name__": "example"}
    exec(compile(_EXAMPLE.search(page)[1], "example", "exec"), names)
    follows = {task_id: task.downstream_task_ids for task_id, task in names["dag"].task_dict.items()}
    assert follows == {
        "capture_images": {"run_inference"},
        "run_inference": {"process_fusion"},
        "process_fusion": {"process_tracking"},
        "process_tracking": set(),
    }
