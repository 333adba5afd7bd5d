"""The documentation's site: it builds, its links lead somewhere, and its pages load from no other host."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

PROJECT = Path(__file__).parents[2]


def _hook():
    specification = importlib.util.spec_from_file_location("site_hook", PROJECT / "docs" / "site_hook.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hook():
    return _hook()


@pytest.fixture
def repository(tmp_path):
    """A repository of three files, as mkdocs knows it: `shown(page, markdown)` is what the site has of it."""
    for name in ("docs/faults.md", "docs/more/deep.md", "env/base.env", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    config = {"config_file_path": str(tmp_path / "mkdocs.yml"), "site_dir": str(tmp_path / "site")}
    pages = {"faults.md", "more/deep.md", "index.md"}
    files = SimpleNamespace(get_file_from_path=lambda path: path if path in pages else None)
    return SimpleNamespace(root=tmp_path, config=config, files=files)


def _shown(hook, repository, page, markdown):
    page = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    return hook.on_page_markdown(markdown, page, repository.config, repository.files)


@pytest.mark.parametrize(
    ("page", "markdown", "expected"),
    [
        ("index.md", "[faults](docs/faults.md#a)", "[faults](faults.md#a)"),
        ("faults.md", "[start](../README.md)", "[start](index.md)"),
        ("faults.md", "[deep](more/deep.md)", "[deep](more/deep.md)"),
        ("more/deep.md", "[faults](../faults.md)", "[faults](../faults.md)"),
        ("faults.md", "[settings](../env/base.env)", "settings (`env/base.env`)"),
        ("faults.md", "[`env/base.env`](../env/base.env)", "`env/base.env`"),
        (
            "faults.md",
            "[here](#anchor) [there](https://example.org/x)",
            "[here](#anchor) [there](https://example.org/x)",
        ),
        ("faults.md", "```\n[x](nowhere.md)\n```\n", "```\n[x](nowhere.md)\n```\n"),
    ],
)
def test_links_lead_to_pages_of_the_site_or_name_a_file(hook, repository, page, markdown, expected):
    assert _shown(hook, repository, page, markdown) == expected


def test_a_link_to_nothing_is_refused(hook, repository):
    with pytest.raises(Exception, match=r"docs/faults.md: there is no docs/nowhere.md"):
        _shown(hook, repository, "faults.md", "[x](nowhere.md)")


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', "cdn.example/x.js"),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/x.css">', "fonts.example/x.css"),
        ("a.html", '<img src="http://example.org/x.png">', "example.org/x.png"),
        ("a.css", "@import url(https://fonts.example/x.css);", "a.css"),
    ],
)
def test_a_page_that_loads_from_another_host_is_refused(hook, repository, name, content, found):
    site = repository.root / "site"
    site.mkdir()
    (site / name).write_text(content)
    with pytest.raises(Exception, match=found):
        hook.on_post_build(repository.config)


def test_links_that_a_person_follows_are_left_alone(hook, repository):
    site = repository.root / "site"
    site.mkdir()
    (site / "a.html").write_text('<a href="https://example.org">x</a><script src="assets/x.js"></script>')
    hook.on_post_build(repository.config)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "index.html").is_file()
