"""The page of the public names is what the code says."""

from importlib import import_module
from pathlib import Path

import pytest

from bay_observation import code_reference

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def document():
    return code_reference.document()


@pytest.mark.slow(3)
def test_the_page_is_that_of_the_code(document):
    page = (PROJECT / "docs" / "reference.md").read_text("utf-8")
    assert page == document, "python -m bay_observation.code_reference > docs/reference.md"


@pytest.mark.slow(0)
@pytest.mark.parametrize("heading", code_reference.SECTIONS)
def test_each_name_is_exported_and_said(heading, document):
    package, names = code_reference.SECTIONS[heading]
    assert set(names) <= set(import_module(package).__all__)
    lines = document.partition(f"## {heading}\n")[2].partition("\n:::")[0].splitlines()
    said = [line for line in lines if line.startswith("- ")]
    assert len(said) == len(names)
    assert [line for line in said if len(line.partition("`: ")[2] or line.partition("`**: ")[2]) < 10] == []
