"""The ten tasks of a DAG author: what the examples use of the product stands on the pages; no source need be read."""

import ast
import importlib
import inspect
import re
from datetime import datetime
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
PACKAGES = {"artifacts", "bays", "capture_async", "fusion", "inference", "operators", "tracking", "triggers"}
# Of Python, of Airflow, and of what the example itself defines.
OTHERS = {name for kind in (str, dict, list, Path, datetime) for name in dir(kind)} | {
    *("datetime", "environ", "writer", "writerow", "writerows"),
    *("ALL_DONE", "expand", "extra", "output", "partial", "short_circuit"),
}


@pytest.fixture(scope="module")
def pages() -> str:
    """All pages, and what the page of the code's reference shows: docstrings and signatures."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")
    for module, names in re.findall(r"^::: (\w+)\n\s+options: \{members: \[([^]]*)\]", reference, re.MULTILINE):
        for name in names.split(", "):
            text += "\n" + shown(getattr(importlib.import_module(module), name))
    return text


def shown(member: object) -> str:
    """What the reference shows of a class or a function."""
    parts = [inspect.getdoc(member) or ""]
    if inspect.isclass(member):
        parts += [f"{name}\n{inspect.getdoc(value) or ''}" for name, value in vars(member).items() if name[0] != "_"]
        parts += list(getattr(member, "__annotations__", {}))
    return "\n".join(parts)


def used(path: Path) -> tuple[set[tuple[str, str]], set[str], set[str]]:
    """Imports from the product's packages, arguments of its operators, and attributes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports, arguments, attributes = set(), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            imports |= {(str(node.module), alias.name) for alias in node.names}
        elif isinstance(node, ast.Call) and re.search(r"(Operator|Sensor)\b", ast.unparse(node.func)):
            arguments |= {keyword.arg for keyword in node.keywords if keyword.arg}
        elif isinstance(node, ast.Attribute):
            attributes.add(node.attr)
    return imports, arguments, attributes


def test_there_is_an_example_of_each_of_the_ten_tasks():
    assert len(EXAMPLES) == 10


@pytest.mark.slow(0.5)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_an_example_uses_is_on_a_page(path, pages):
    from airflow.sdk import BaseOperator, BaseSensorOperator

    airflows = {*inspect.signature(BaseOperator.__init__).parameters, *inspect.signature(BaseSensorOperator).parameters}
    imports, arguments, attributes = used(path)
    words = set(re.findall(r"\w+", pages))
    assert [f"from {module} import {name}" for module, name in sorted(imports) if name not in words] == []
    assert sorted(arguments - airflows - words) == []
    assert sorted(attributes - OTHERS - words) == []


@pytest.mark.slow(0.5)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_where_it_is_imported_from_is_on_a_page(path, pages):
    imports, _, _ = used(path)
    for whole, name in imports:
        module = re.escape(whole)
        written = rf"from {module} import [^\n]*\b{name}\b|`{module}\.{name}\b|^::: {module}\n.*\b{name}\b"
        assert re.search(written, pages, re.MULTILINE), f"no page says that {name} is in {whole}"
