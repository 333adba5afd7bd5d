"""What `mkdocs.yml` cannot say: pages from outside `docs/`, links to source files, and a check of the built site.

A page is written for a reader of the repository, and its links lead to files there. The site has the pages alone:
a link to another file becomes the file's path.
"""

import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "benchmarks.md": "lab/benchmarks/README.md",
    "weights.md": "inference/weights/README.md",
}
"""Pages of the site that lie outside of `docs/`: address in the site -> file in the repository."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
# Attributes from which a browser loads by itself; a link that a person follows may lead anywhere.
_LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("img", "srcset")}
_CSS_LOADED = re.compile(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", re.IGNORECASE)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of `PAGES`, and the pictures beside them."""
    root = _root(config)
    for address, source in PAGES.items():
        text = (root / source).read_text(encoding="utf-8")
        files.append(File.generated(config, address, content=text))
        for picture in _outside_pictures(root, source, text):
            files.append(File.generated(config, picture, abs_src_path=str(root / picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let the links of a page lead to the site's pages, and name the files that are none."""
    root, address = _root(config), page.file.src_uri
    source = PurePosixPath(PAGES.get(address, f"docs/{address}"))
    pages = {original: site for site, original in PAGES.items()}

    def link(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        path, _, anchor = target.partition("#")
        if not path or "://" in target:
            return match[0]
        file = os.path.normpath(source.parent / path)
        if not (root / file).exists():
            raise PluginError(f"{source}: there is no {file}, to which it links as {target}")
        site = pages.get(file) or file.removeprefix("docs/")
        if files.get_file_from_path(site) is None:
            return f"`{file}`" if text.strip("`") in (file, path) else f"{text} (`{file}`)"
        here = os.path.relpath(site, PurePosixPath(address).parent)
        return f"{picture}[{text}]({here}{'#' if anchor else ''}{anchor})"

    return "".join(line if code else _LINK.sub(link, line) for line, code in _lines(markdown))


def on_post_build(config: Any) -> None:
    """Refuse a site of which a page loads something from another host."""
    site = Path(config["site_dir"])
    found = [f"{page.relative_to(site)}: {address}" for page in site.rglob("*.html") for address in foreign(page)]
    found += [
        str(sheet.relative_to(site)) for sheet in site.rglob("*.css") if _CSS_LOADED.search(sheet.read_text("utf-8"))
    ]
    if found:
        raise PluginError("pages must load from no other host:\n" + "\n".join(found))


def foreign(page: Path) -> list[str]:
    """Addresses on other hosts that a browser would load with this HTML page."""
    loads = _Loads()
    loads.feed(page.read_text(encoding="utf-8"))
    return loads.foreign


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if (tag, name) in _LOADED and re.match(r"(https?:)?//", value or ""):
                self.foreign.append(value or "")


def _root(config: Any) -> Path:
    return Path(config["config_file_path"]).parent


def _outside_pictures(root: Path, source: str, text: str) -> list[str]:
    folder = PurePosixPath(source).parent
    pictures = [os.path.normpath(folder / target) for kind, _, target in _LINK.findall(text) if kind]
    return [picture for picture in pictures if not picture.startswith("docs/") and (root / picture).exists()]


def _lines(markdown: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is part of a fenced block."""
    fenced = False
    for line in markdown.splitlines(keepends=True):
        fence = line.lstrip().startswith("```")
        yield line, fenced or fence
        fenced ^= fence
