"""What the pages name exists: commands, targets, files, names in files, exported names."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from bay_observation.cli import ENTRIES

PROJECT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "lab/**/*.md", "inference/**/*.md", "deploy/**/*.md")
    for path in PROJECT.glob(pattern)
    if path.name != "CHANGELOG.md"  # it tells what was there once
)
# What the worked examples of CONTRIBUTING.md let a reader make.
_TO_BE_MADE = {"review/", "operators/review.py"}


def pages(pattern):
    """Each match of the pattern's first group in a page, with the page's name."""
    found = {
        (path.relative_to(PROJECT).as_posix(), name) for path in PAGES for name in re.findall(pattern, _text(path))
    }
    return sorted(found)


def _text(path):
    return path.read_text(encoding="utf-8")


def test_no_page_holds_a_merge_that_was_not_resolved():
    pages = [*PAGES, PROJECT / "CHANGELOG.md"]
    assert [page.name for page in pages if re.search(r"^(<{7}|>{7}) ", _text(page), re.MULTILINE)] == []


@pytest.mark.parametrize(("page", "module"), pages(r"python -m ([a-z_][\w.]*\w)"))
def test_a_command_is_a_module_that_can_be_run(page, module):
    specification = find_spec(module)
    assert specification is not None, f"{page}: there is no module {module}"
    if specification.submodule_search_locations is not None:
        assert find_spec(f"{module}.__main__") is not None, f"{page}: {module} cannot be run"


@pytest.mark.parametrize(
    ("page", "command"), pages(r"python -m ((?:bays|artifacts|capture_async|fusion|tracking|triggers) [a-z-]+)")
)
def test_a_subcommand_exists(page, command):
    package, subcommand = command.split()
    known = {entry.words[0] for entry in ENTRIES if entry.module == package and entry.words}
    assert subcommand in known, f"{page}: python -m {package} has no {subcommand}"


_WORDS = r"(?:[a-z][a-z-]*)"


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(("page", "words"), pages(rf"(?:`|\$ |\"|exec )bay-observation ({_WORDS}(?: {_WORDS})?)"))
def test_what_a_page_writes_after_bay_observation_is_a_command(page, words):
    typed = tuple(words.split())
    known = any(typed[: len(entry.path)] == entry.path[: len(typed)] for entry in ENTRIES)
    assert known, f"{page}: there is no bay-observation {words}"


@pytest.mark.slow(1)
def test_every_package_that_can_be_run_is_on_the_page_of_commands():
    page = _text(PROJECT / "docs" / "commands.md")
    runnable = [path for path in PROJECT.glob("**/__main__.py") if ".venv" not in path.parts]
    names = [".".join(path.parent.relative_to(PROJECT).parts) for path in runnable]
    assert [name for name in names if f"python -m {name}" not in page] == []


@pytest.mark.parametrize(("page", "target"), pages(r"(?:`|\$ )make ([a-z-]+)"))
def test_a_target_is_in_the_makefile(page, target):
    assert re.search(rf"^{target}:", _text(PROJECT / "Makefile"), re.MULTILINE), f"{page}: no target {target}"


_TOP = "|".join(sorted(path.name for path in PROJECT.iterdir() if path.is_dir() and not path.name.startswith(".")))


@pytest.mark.parametrize(("page", "path"), pages(rf"`((?:{_TOP})/[\w./-]*)`"))
def test_a_file_that_is_named_is_there(page, path):
    made_at_run_time = path.startswith(("secrets/", "data/", "logs/", "demo_output/", "training_output/", "site/"))
    if path in _TO_BE_MADE or made_at_run_time or "6bay_south" in path:
        return
    assert (PROJECT / path).exists(), f"{page}: there is no {path}"


@pytest.mark.parametrize(("page", "named"), pages(r"`([\w/]+\.py`,\s+`[A-Za-z_]\w*)`"))
def test_a_name_is_in_the_file_beside_which_it_stands(page, named):
    path, name = re.split(r"`,\s+`", named)
    assert re.search(rf"\b{name}\b", _text(PROJECT / path)), f"{page}: {path} has no {name}"


@pytest.mark.parametrize(
    ("package", "members"),
    re.findall(
        r"^::: (\w+)\n +options: \{members: \[([^\]]*)\]\}", _text(PROJECT / "docs" / "reference.md"), re.MULTILINE
    ),
)
def test_the_reference_shows_what_packages_export(package, members):
    names = members.split(", ")
    assert set(names) <= set(importlib.import_module(package).__all__)
