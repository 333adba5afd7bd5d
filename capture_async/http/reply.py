"""A camera's answer, and its body as it arrives."""

import asyncio
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy

from capture_async.errors import CameraError
from capture_async.types import FailureReason

_PLAIN = frozenset({"", "identity"})
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
# Behind a JPEG's end some send their own mark, or old memory.
_LONGEST_TRAILER = 4096
_END_OF_XML = b">"
_LINE_ENDS = b"\r\n"
_MAX_PART_HEAD = 16 * 1024
_UNAUTHORIZED = 401
# Of a refusal no more is read than what it may say.
_LONGEST_REFUSAL = 64 * 1024
# Smaller pieces, as chunks of a byte or two, are put together: each piece costs memory of its own.
_SMALL_PIECE, _PUT_TOGETHER = 512, 64 * 1024
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]*)"|([^\s;]+))', re.IGNORECASE)
_MOST_SKIPPED = 4
_DELIMITER = re.compile(rb"(--[^\r\n]+)(\r?\n)?")
_CLOSING = re.compile(rb"\s*--\S+--\s*\Z")
_PART_LENGTH = re.compile(rb"^content-length\s*:\s*(\d{1,9})\s*$", re.IGNORECASE | re.MULTILINE)


Piece: TypeAlias = bytes | memoryview
"""A part of a body, as it came."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A camera's answer.

    Attributes:
        status: its code.
        headers: by name, whichever its case.
        body: without its content encoding; of a multipart reply the first part.
        received_at: when its head arrived (aware, UTC).
        login_sent: whether the request carried a login.
        whole: False where the connection ended within the body.
        at_end: whether all of it was read, so that its connection may carry another request.
    """

    status: int
    headers: CIMultiDict[str] | CIMultiDictProxy[str]
    body: bytes
    received_at: datetime
    login_sent: bool = False
    whole: bool = True
    at_end: bool = False

    @property
    def challenges(self) -> list[str]:
        """Every value of WWW-Authenticate."""
        return self.headers.getall("WWW-Authenticate", [])

    @property
    def text(self) -> str:
        """The beginning of the body, for what a camera says in words."""
        return self.body[:4096].decode("utf-8", "replace")

    @property
    def retry_after_s(self) -> float | None:
        """Seconds of Retry-After, given as such or as a date by the camera's own clock."""
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit() and len(value) < 8:
            return float(value)
        try:
            until = parsedate_to_datetime(value)
            now = parsedate_to_datetime(self.headers.get("Date", "")) if "Date" in self.headers else datetime.now(UTC)
            return max(0.0, (until - now).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return None


class Body:
    """A body as it arrives, bounded, with an end also where the camera sends none.

    Args:
        where: the camera, for errors.
        status: of the reply.
        headers: of the reply.
        max_bytes: a body that is larger is not read on, nor one that unfolds to more.
        first_part: take the first part of a multipart reply, which may never end.
    """

    def __init__(
        self,
        where: object,
        status: int,
        headers: CIMultiDict[str] | CIMultiDictProxy[str],
        max_bytes: int,
        *,
        first_part: bool = False,
    ) -> None:
        self._where = where
        self._encoding = headers.get("Content-Encoding", "").strip().lower()
        self._max_bytes = max_bytes
        self._enough = _LONGEST_REFUSAL if status == _UNAUTHORIZED else max_bytes
        content_type = headers.get("Content-Type", "")
        multipart = first_part and content_type.strip().lower().startswith("multipart/")
        self._part = _FirstPart(content_type) if multipart else None
        self._pieces: list[Piece] = []
        self._small = bytearray()
        self.size = 0
        """Bytes that have come."""

    @property
    def looks_whole(self) -> bool:
        """Whether it ends as a JPEG or XML does: then it is not waited for more for long."""
        if self._part is not None:
            return self._part.looks_whole
        if not self.size:
            return False
        last = bytes(self._small[-16:] if self._small else self._pieces[-1][-16:])
        return last.rstrip().endswith((_EOI, _END_OF_XML))

    def announce(self, length: int | None) -> None:
        """Take in the length that the reply's head names.

        Raises:
            CameraError: too large.
        """
        if length is not None and length > self._max_bytes:
            detail = f"{self._where}: the answer is announced as {length} bytes, more than {self._max_bytes}"
            raise CameraError(FailureReason.TOO_LARGE, detail)

    def push(self, piece: Piece) -> bool:
        """Take in a piece; whether nothing more is needed.

        Raises:
            CameraError: too large.
        """
        self.size += len(piece)
        if self.size > self._max_bytes:
            raise self._too_large()
        if self._part is not None:
            return self._part.push(piece) or self.size > self._enough
        if len(piece) >= _SMALL_PIECE:
            self._put_together()
            self._pieces.append(piece)
        else:
            self._small += piece
            if len(self._small) >= _PUT_TOGETHER:
                self._put_together()
        return self.size > self._enough

    async def unfolded(self) -> bytes:
        """`content`; what may unfold to megabytes does so in a thread."""
        return self.content() if self._encoding in _PLAIN else await asyncio.to_thread(self.content)

    def content(self) -> bytes:
        """The body, unfolded.

        Raises:
            CameraError: a faulty reply: it is encoded in a way that is not read; too large.
        """
        body = b"".join((*self._pieces, self._small)) if self._part is None else self._part.content()
        if self._encoding in _PLAIN:
            return body
        if self._encoding in ("gzip", "x-gzip", "deflate"):
            return self._unfolded(body)
        detail = f"{self._where}: its answer is encoded as {self._encoding[:20]!r}, though that was not asked for"
        raise CameraError(FailureReason.FAULTY_REPLY, detail, final=True)

    def _put_together(self) -> None:
        if self._small:
            self._pieces.append(bytes(self._small))
            self._small.clear()

    def _unfolded(self, body: bytes) -> bytes:
        for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):  # with a header of gzip or zlib; raw, as some send it
            unfolding = zlib.decompressobj(window)
            try:
                content = unfolding.decompress(body, self._max_bytes)
            except zlib.error:
                continue
            if unfolding.unconsumed_tail:
                raise self._too_large()
            return content
        return body  # not encoded after all

    def _too_large(self) -> CameraError:
        detail = f"{self._where}: the answer is larger than {self._max_bytes} bytes"
        return CameraError(FailureReason.TOO_LARGE, detail)


def _ends_as_jpeg(data: bytes | bytearray) -> bool:
    return data[-4:].rstrip(_LINE_ENDS).endswith(_EOI)


class _FirstPart:
    """The first part of a multipart body (RFC 2046) that is a picture, also of one that never ends; else the first."""

    def __init__(self, content_type: str) -> None:
        found = _BOUNDARY.search(content_type)
        # Firmwares write the two dashes into the parameter, leave them out, or write another boundary in the body.
        name = "" if found is None else (found[1] or found[2] or "").strip("-")
        self._end = re.compile(rb"\r?\n--+" + (re.escape(name.encode("utf-8", "replace")) if name else rb"[^\r\n]"))
        self._data = bytearray()
        self._no_picture: bytes | None = None
        self._skipped = 0
        self._begin = -1
        self._length: int | None = None
        self._searched = 0
        self._ends_at: int | None = None

    def push(self, piece: Piece) -> bool:
        """Take in a piece; whether the part is whole."""
        self._data += piece
        if self._begin < 0 and not self._read_head():
            return len(self._data) > _MAX_PART_HEAD
        if self._length is not None:
            self._ends_at = self._begin + self._length
            if len(self._data) < self._ends_at:
                return False
            if not self._data.startswith(_SOI, self._begin):
                return not self._skip(self._ends_at)
            if _EOI in self._data[max(self._begin, self._ends_at - _LONGEST_TRAILER) : self._ends_at]:
                return True
            self._length = self._ends_at = None  # counted wrongly: the part is longer
        found = self._end.search(self._data, max(self._begin - 2, self._searched - 128))
        self._searched = len(self._data)
        if found is None:
            return _ends_as_jpeg(self._data)
        self._ends_at = max(self._begin, found.start())
        return self._data.startswith(_SOI, self._begin) or not self._skip(found.start())

    def _skip(self, end: int) -> bool:
        """Go on to the next part, where there may be one; whether more is needed of it."""
        if self._no_picture is None:
            self._no_picture = self.content()
        self._skipped += 1
        del self._data[:end]
        if self._skipped > _MOST_SKIPPED or _CLOSING.match(self._data):
            return False
        self._begin, self._searched, self._length, self._ends_at = -1, 0, None, None
        return not self.push(b"")

    @property
    def looks_whole(self) -> bool:
        """Whether it ends as a JPEG, though its announced length is not there."""
        return self._begin >= 0 and _ends_as_jpeg(self._data)

    def content(self) -> bytes:
        """What has come of the part; all that came where there is no part."""
        if self._begin < 0 or (self._no_picture is not None and not self._data.startswith(_SOI, self._begin)):
            return bytes(self._data) if self._no_picture is None else self._no_picture
        return bytes(self._data[self._begin : self._ends_at])

    def _read_head(self) -> bool:
        skipped = len(self._data) - len(self._data.lstrip(_LINE_ENDS))
        written = _DELIMITER.match(self._data, skipped)
        if written is not None and written[2]:
            self._end = re.compile(rb"\r?\n" + re.escape(written[1]))
            if self._data.startswith(_SOI, written.end()):  # without any head
                self._begin = written.end()
                return True
        head = re.search(rb"\r?\n\r?\n", self._data.lstrip(_LINE_ENDS))
        if head is None:
            return False
        self._begin = skipped + head.end()
        length = _PART_LENGTH.search(self._data[: self._begin].replace(b"\r", b""))
        self._length = int(length[1]) if length is not None and int(length[1]) else None
        return True
