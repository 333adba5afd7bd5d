"""The page's own files: the built bundle and its icons, behind the login as everything else."""

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request, Response

from dashboard.api.answers import PRIVATE, with_etag

router = APIRouter(include_in_schema=False)

_FOLDER = FilePath(__file__).parents[1] / "static"
_TYPES = {".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_GOOD = "private, max-age=31536000, immutable"


@router.get("/static/{name}")
def static_file(request: Request, name: Annotated[str, Path(pattern=r"^[a-z_]+\.(js|svg)$")], v: str = "") -> Response:
    """One of the page's files. Under an address with its version the browser keeps it for good."""
    path = _FOLDER / name
    if not path.is_file():
        raise HTTPException(404, f"there is no file {name}")
    return with_etag(request, path.read_bytes(), _TYPES[path.suffix], _FOR_GOOD if v else PRIVATE)
