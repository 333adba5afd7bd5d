"""The documentation of the version that runs, without another host: Airflow's page *Providers* links to it."""

import html
import itertools
import re
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from dashboard.api.answers import with_etag

FIRST_PAGE = "README.md"
_PAGES = (FIRST_PAGE, "CONTRIBUTING.md", "CHANGELOG.md", "lab/benchmarks/README.md", "inference/weights/README.md")
_TYPES = {
    ".md": "text/html; charset=utf-8",
    ".py": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
}
_STYLE = (
    "body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}img{max-width:100%}"
    "pre{overflow:auto;padding:.7rem;background:#8882}"
    "table{border-collapse:collapse}td,th{border:1px solid #8888;padding:.2rem .6rem}"
)

router = APIRouter(include_in_schema=False)


@router.get("/manual")
@router.get("/manual/")
def first_page(request: Request) -> Response:
    """To the first page."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/manual/{FIRST_PAGE}")


@router.get("/manual/{name:path}")
def manual_page(request: Request, name: str) -> Response:
    """A page, under its name in the repository, so that its links to others and to pictures hold."""
    path = _files().get(name)
    if path is None:
        raise HTTPException(404, "there is no such page" if _files() else "the documentation is not on this host")
    content = path.read_bytes()
    if path.suffix == ".md":
        content = _as_html(content.decode("utf-8")).encode()
    return with_etag(request, content, _TYPES[path.suffix])


@cache
def _files() -> dict[str, Path]:
    """What is served, by its name in the repository."""
    root = _root()
    found = [root / page for page in _PAGES] + sorted((root / "docs").rglob("*"))
    return {path.relative_to(root).as_posix(): path for path in found if path.suffix in _TYPES and path.is_file()}


def _root() -> Path:
    """The checkout that is installed as editable, or where a wheel's data lies."""
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout
    return Path(sysconfig.get_path("data")) / "share" / "bay-observation"


def _as_html(text: str) -> str:
    from markdown_it import MarkdownIt

    # No HTML of a page's own: what looks like it is shown as text.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    titles = [_with_anchor(*pair) for pair in itertools.pairwise(tokens) if pair[0].type == "heading_open"]
    title = html.escape(titles[0] if titles else "Bay Observation")
    body = markdown.renderer.render(tokens, markdown.options, {})
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<style>{_STYLE}</style><main>{body}</main></html>"
    )


def _with_anchor(heading: Any, inside: Any) -> str:
    """Give a heading the id by which links know it; its text."""
    text = "".join(part.content for part in inside.children or [])
    heading.attrSet("id", re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-"))
    return text
