"""The documentation behind the link of Airflow's page Providers."""

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import unquote

import pytest

from dashboard.api import manual

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def read(api, token):
    return lambda path: api.get(f"/manual/{path}", headers=token("boss"))


def test_airflows_page_of_providers_links_to_it(read):
    from airflow.providers_manager import ProvidersManager

    address = ProvidersManager().providers["bay-observation"].data["documentation-url"]
    # Relative: Airflow's page resolves it against its own base address, which may have a path.
    assert address == "bay/manual/"
    moved = read("")
    assert moved.status_code == 307
    assert moved.headers["location"] == "/manual/README.md"
    assert "Bay Observation" in read("README.md").text
    assert metadata("bay-observation").get_all("Project-URL") == ["Documentation, bay/manual/"]


@pytest.mark.slow(1)
def test_every_link_and_picture_of_every_page_is_served(read):
    served = manual._files()
    for name in [name for name in served if name.endswith(".md")]:
        text = read(f"{name}").text
        for target in re.findall(r'(?:href|src)="([^"]+)"', text):
            path, _, anchor = unquote(target).partition("#")
            if "://" in path or path.startswith("mailto:"):
                continue
            to = normpath(PurePosixPath(name).parent / path) if path else name
            # A link to a source file leads nowhere here, as on the site of `make docs`.
            assert to in served or (PROJECT / to).exists(), (name, target)
            if anchor and to.endswith(".md"):
                assert f'id="{anchor}"' in read(f"{to}").text, (name, target)


def test_a_picture_is_shown_within_the_pages_policy(read):
    answer = read("docs/pictures/floor_plan.png")
    assert answer.headers["content-type"] == "image/png"
    assert "img-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["pyproject.toml", "../README.md", "docs/../env/dev/main.env", "docs", "docs/none.md"])
def test_nothing_else_is_served(read, name):
    assert read(f"{name}").status_code == 404


def test_it_asks_for_a_login(api):
    assert api.get("/manual/README.md").status_code == 401


def test_it_travels_in_the_wheel():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert set(manual._PAGES) | {"docs"} == set(shared)
    assert all(to == f"share/bay-observation/{path}" for path, to in shared.items())


def test_a_page_cannot_bring_html_of_its_own():
    assert "<script>" not in manual._as_html("# A\n\n<script>alert(1)</script>")
