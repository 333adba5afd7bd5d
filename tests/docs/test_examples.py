"""Python examples of the documentation run as they stand, a section at a time, and print what the page says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/operators.md")

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
