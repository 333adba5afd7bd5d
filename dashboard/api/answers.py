"""How answers leave: JSON with its digest as ETag, in pages, and never kept by anyone but the browser that asked."""

import base64
import binascii
import gzip
import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python

Item = TypeVar("Item")
Key = tuple[str, ...]

_LONG = 20_000  # bytes from which compressing matters

PRIVATE = "private, no-cache"
"""The browser may keep it, and asks each time whether it still holds."""


def answer(request: Request, value: BaseModel | dict[str, Any]) -> Response:
    """A model, or its values, as JSON; nothing but 304 where the browser has it already."""
    content = orjson.dumps(value, default=to_jsonable_python, option=orjson.OPT_UTC_Z)
    return with_etag(request, content, "application/json")


def with_etag(request: Request, content: bytes, media_type: str, cache: str = PRIVATE) -> Response:
    """Bytes under the digest of what they are."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": cache}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    if len(content) >= _LONG and media_type == "application/json" and _takes_gzip(request):
        # Airflow's own middleware would do it too, three times as slowly for a tenth less of a day's events.
        headers["Content-Encoding"] = "gzip"
        content = gzip.compress(content, compresslevel=1)
    return Response(content, media_type=media_type, headers=headers)


def _takes_gzip(request: Request) -> bool:
    return "gzip" in [part.strip().lower() for part in request.headers.get("accept-encoding", "").split(",")]


class Paging(BaseModel):
    """Which page of an answer."""

    model_config = ConfigDict(extra="ignore")

    cursor: Annotated[str | None, Field(max_length=800, description="next_cursor of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=5000, description="how many at most")] = 1000


def page(items: Sequence[Item], key: Callable[[Item], Key], wanted: Paging) -> tuple[list[Item], str | None]:
    """Some of the items, and the cursor of those that follow.

    The cursor names the last item by its key, so that what is added meanwhile moves nothing.

    Args:
        items: in order of `key`.
        key: of an item, different for each.
        wanted: where to begin, and how many at most.
    """
    begin = bisect_right(items, _decoded(wanted.cursor), key=key) if wanted.cursor else 0
    end = begin + wanted.limit
    shown, more = list(items[begin:end]), end < len(items)
    return shown, _encoded(key(shown[-1])) if more and shown else None


def _encoded(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decoded(cursor: str) -> Key:
    try:
        values: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise HTTPException(422, "cursor: take next_cursor of the page before")
    return tuple(values)
