"""ONVIF replies, read by their elements' local names, as far as they can be read; no I/O.

zeep checks a reply against the WSDL, and one element with an undeclared prefix, an empty Body
or a duration out of range ends its reading with any of a dozen exceptions. Cameras send all of these,
and the few values that a capture needs stand in the reply all the same.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from bay_observation.errors import CaptureError
from capture_async.onvif.messages import NAMESPACES, Service
from capture_async.refusals import Refusal, refusal_in

_SHOWN = 200
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.\-]+)", re.IGNORECASE)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_DECLARED = re.compile(rb"^\s*<\?xml[^>]*encoding\s*=\s*[\"']([\w.\-]+)[\"']")
_ENVELOPE = re.compile(r"<(?:[\w.\-]+:)?(?:Envelope|Fault)[\s>/]")
# Python's encodings that are none of a document: some take time by the square of the text.
_NO_CHARSETS = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"})
_FORBIDDEN = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_LAST = re.compile("[:}]")
_LONGEST_NAME = 200
_MAX_SIDE = 100_000
_YEARS = range(1970, 2100)
_POSIX_ZONE = re.compile(r"[A-Za-z<>+\-0-9]*?[A-Za-z>]([+\-]?\d{1,2})(?::(\d{2}))?")


class SoapError(CaptureError):
    """The camera answered a request with a fault, or with something that is no SOAP reply to it.

    Args:
        message: what it answered, shortened.
        refusal: what it means for the login; None for any other fault.
    """

    def __init__(self, message: str, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Clock:
    """What a camera says of its time; `utc` and `local` as if both were UTC, None where it says nothing usable."""

    utc: datetime | None
    local: datetime | None
    zone: timedelta | None


@dataclass(frozen=True, slots=True)
class Profile:
    """A media profile.

    Attributes:
        token, name: as the camera writes them.
        size: (width, height) in pixels of its encoder; of its video source, where the encoder does not say;
            (0, 0) for a profile without video.
        size_is_known: whether the encoder says its size.
        source: token of its video source, which an NVR has one of for each channel.
    """

    token: str
    name: str
    size: tuple[int, int]
    size_is_known: bool
    source: str

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.size[0] * self.size[1]


def read_reply(operation: str, status: int, content_type: str, body: bytes) -> Any:
    """The response element of an operation (lxml).

    Args:
        operation: as `GetProfiles`.
        status: of the HTTP answer.
        content_type: of the HTTP answer; its charset counts more than the XML's own.
        body: of the HTTP answer.

    Raises:
        SoapError: a fault, or no reply to this operation.
    """
    text = _decoded(content_type, body)
    root = _parsed(text)
    if root is not None:
        response = next(_named(root, f"{operation}Response"), None)
        if response is not None:
            return response
        fault = next(_named(root, "Fault"), None)
        if fault is not None:
            raise _fault_error(operation, fault)
    words = re.sub(r"<[^>]*>", " ", text[:4096])
    what = "an empty body" if not body.strip() else f"{len(body)} bytes that are no SOAP reply"
    raise SoapError(f"{operation}: answered {status} with {what}", refusal_in(words))


def read_clock(response: Any) -> Clock:
    """Of GetSystemDateAndTime."""
    zone = _text(next(_named(response, "TZ"), None))
    utc, local = (_moment(next(_named(response, name), None)) for name in ("UTCDateTime", "LocalDateTime"))
    return Clock(utc, local, _zone(zone))


def read_media_address(response: Any) -> str | None:
    """Address of the Media service in GetCapabilities."""
    media = next(_named(response, "Media"), None)
    return _text(_child(media, "XAddr")) or None


def read_services(response: Any) -> dict[Service, str]:
    """Addresses of the Media services in GetServices."""
    known = {namespace.rstrip("/").lower(): service for service, namespace in NAMESPACES.items()}
    found: dict[Service, str] = {}
    for element in _named(response, "Service"):
        service = known.get(_text(_child(element, "Namespace")).rstrip("/").lower())
        address = _text(_child(element, "XAddr"))
        if service is not None and address:
            found.setdefault(service, address)
    return found


def read_profiles(response: Any) -> list[Profile]:
    """Of GetProfiles, of either Media service; a profile without a token cannot be asked for, and is left out."""
    # Children alone: each one's search goes through all below it, and a hostile reply nests them.
    profiles = (element for element in response if _local(element.tag) == "Profiles")
    return [profile for element in profiles if (profile := _profile(element)) is not None]


def read_uri(response: Any) -> str | None:
    """Of GetSnapshotUri and GetStreamUri. Some escape its `&` twice."""
    return _text(next(_named(response, "Uri"), None)).replace("&amp;", "&") or None


def _decoded(content_type: str, body: bytes) -> str:
    """The text. HTTP's charset outranks the XML declaration; what neither explains is read as UTF-8."""
    named = _CHARSET.search(content_type)
    declared = _DECLARED.match(body)
    for encoding in (
        named[1] if named is not None else None,
        "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig",
        declared[1].decode("ascii") if declared is not None else None,
    ):
        if encoding is None or encoding.lower().replace("-", "_") in _NO_CHARSETS:
            continue
        try:
            text = body.decode(encoding)
        except (UnicodeError, LookupError):
            continue
        if "<" in text:
            return text
    return body.decode("utf-8", "replace")


def _parsed(text: str) -> Any:
    """The root element; None where there is no element, or where the text defines entities."""
    if _FORBIDDEN.search(text) is not None:
        return None
    begin = _ENVELOPE.search(text)
    # What stands before the envelope: declarations of another encoding, blank lines, heads of a multipart body.
    text = text[begin.start() :] if begin is not None else _DECLARATION.sub("", text)
    # recover: elements with undeclared prefixes and a missing end keep the rest readable.
    parser = etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.LxmlError, ValueError):
        return None


def _fault_error(operation: str, fault: Any) -> SoapError:
    codes = [re.split("[:}]", _text(element))[-1] for name in ("Value", "faultcode") for element in _named(fault, name)]
    reasons = [_text(element) for name in ("Text", "faultstring") for element in _named(fault, name)]
    detail = next(_named(fault, "Detail", "detail"), None)
    details = [_text(part) for part in detail.iter()] if detail is not None else []
    reason = next((text for text in reasons if text), "a fault without a reason")
    text = f"{operation} is answered: {reason[:_SHOWN]} ({'/'.join(code for code in codes if code)[:_SHOWN]})"
    said = " ".join([*codes, *reasons, *details])
    # Some write the code where the words belong.
    return SoapError(text, refusal_in(said, [*codes, *(re.split("[:}]", reason)[-1] for reason in reasons)]))


def _profile(element: Any) -> Profile | None:
    token = _attribute(element, "token")
    if not token:
        return None
    encoder = next(_named(element, "VideoEncoderConfiguration", "VideoEncoder"), None)
    source = next(_named(element, "VideoSourceConfiguration", "VideoSource"), None)
    resolution = _child(encoder, "Resolution")
    size = (_side(_text(_child(resolution, "Width"))), _side(_text(_child(resolution, "Height"))))
    known = 0 not in size
    if not known and encoder is not None:
        bounds = _child(source, "Bounds")
        size = (_side(_attribute(bounds, "width")), _side(_attribute(bounds, "height")))
    if 0 in size:
        size = (0, 0)
    return Profile(token, _text(_child(element, "Name")) or token, size, known, _text(_child(source, "SourceToken")))


def _moment(element: Any) -> datetime | None:
    """An ONVIF DateTime as if it were UTC; None for a clock that was never set."""
    if element is None:
        return None
    values: dict[str, int | None] = dict.fromkeys(("Year", "Month", "Day", "Hour", "Minute", "Second"))
    for found in element.iter():
        name = _local(found.tag)
        if name in values and values[name] is None:
            values[name] = _whole_number(_text(found))
    second = min(values.pop("Second") or 0, 59)
    year, month, day, hour, minute = values.values()
    if year is None or month is None or day is None or hour is None or minute is None or year not in _YEARS:
        return None
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _zone(text: str) -> timedelta | None:
    """Local time minus UTC of a POSIX time zone, as `KST-9`; None for what is none."""
    found = _POSIX_ZONE.match(text)
    if found is None or abs(hours := int(found[1])) > 14:
        return None
    minutes = int(found[2] or 0)
    return -timedelta(hours=hours, minutes=-minutes if found[1].startswith("-") else minutes)


def _side(text: str) -> int:
    """Pixels; 0 for what is no number of them."""
    number = _whole_number(text) or 0
    return number if 0 < number <= _MAX_SIDE else 0


def _whole_number(text: str) -> int | None:
    """Also of `1920.0`."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if math.isfinite(number) and abs(number) < 1e9 else None


def _named(element: Any, *names: str) -> Iterator[Any]:
    """The element and all below it with one of these local names."""
    for found in element.iter() if element is not None else ():
        if _local(found.tag) in names:
            yield found


def _child(element: Any, name: str) -> Any:
    children: Iterable[Any] = element if element is not None else ()
    return next((child for child in children if _local(child.tag) == name), None)


def _attribute(element: Any, name: str) -> str:
    attributes: dict[str, str] = dict(element.attrib) if element is not None else {}
    return next((value.strip() for key, value in attributes.items() if _local(key) == name), "")


def _text(element: Any) -> str:
    return (element.text or "").strip() if element is not None else ""


def _local(name: object) -> str:
    """Without namespace; without a prefix that was not declared."""
    if not isinstance(name, str):
        return ""
    return _short_local(name) if len(name) <= _LONGEST_NAME else _LAST.split(name)[-1]


@lru_cache(maxsize=1024)
def _short_local(name: str) -> str:
    """Two hundred cameras send the same few dozen names, each of them in every reply."""
    return _LAST.split(name)[-1]
