"""One version: what is installed, what Airflow shows, and what the changelog begins with."""

import re
import tomllib
from pathlib import Path

import bay_observation

PROJECT = Path(__file__).parents[2]


def test_the_version_is_the_changelogs_newest():
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## \[([\d.]+)\]", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert bay_observation.__version__ == declared == newest
