"""ONVIF messages, written and read with zeep from the WSDL files that onvif-zeep brings; no I/O.

onvif-zeep's own `ONVIFCamera` is not used, and its module is not executed: it
calls `logging.basicConfig` when it is imported, removes proxy variables from the
environment, parses the same WSDL again for every camera (0.2 to 0.3 s of CPU and
10 MB each), and opens a PullPoint subscription, which hangs some cameras. Here
the WSDL is parsed once for the process, an envelope is written once for all
cameras and gets a token of its own each time, and sending it is the caller's: on
the loop, under the loop's timeouts.

All that touches zeep runs in one thread of its own (`run_soap`): it holds the
interpreter while it parses, so that a second thread would gain nothing, and its
objects need no locks this way.
"""

import asyncio
import importlib.util
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from bay_observation.errors import CaptureError
from capture_async.credentials import Credentials
from capture_async.onvif.lean_wsdl import lean_wsdl
from capture_async.onvif.ws_security import security_header

Service = Literal["device", "media"]
NAMESPACES: dict[Service, str] = {
    "device": "http://www.onvif.org/ver10/device/wsdl",
    "media": "http://www.onvif.org/ver10/media/wsdl",
}
_FILES: dict[Service, tuple[str, str]] = {
    "device": ("devicemgmt.wsdl", "DeviceBinding"),
    "media": ("media.wsdl", "MediaBinding"),
}
_SCHEMA = "onvif.xsd"
_OPERATIONS = frozenset(
    {"GetSystemDateAndTime", "GetCapabilities", "GetServices", "GetProfiles", "GetSnapshotUri", "GetStreamUri"}
)
_SHOWN = 200
_BODY = b"<soap-env:Body>"
_KEPT_ENVELOPES = 1024
_T = TypeVar("_T")


_envelopes: dict[str, "SoapMessage"] = {}


class SoapRefusedError(CaptureError):
    """The camera answered with a SOAP fault; `not_authorized` tells logins from the rest."""

    def __init__(self, message: str, *, not_authorized: bool) -> None:
        super().__init__(message)
        self.not_authorized = not_authorized


class SoapUnreadableError(CaptureError):
    """The camera's answer is no SOAP reply to what it was asked."""


@dataclass(frozen=True, slots=True)
class SoapMessage:
    """A request ready to be posted."""

    body: bytes
    headers: dict[str, str]


async def run_soap(function: Callable[..., _T], *arguments: Any) -> _T:
    """Run a function of this module in its thread."""
    return await asyncio.get_running_loop().run_in_executor(_thread(), function, *arguments)


def load() -> None:
    """Import zeep and parse the WSDL, once for the process: a second of work. Waits; call it in a thread."""
    _thread().submit(_load).result()


def _load() -> None:
    for service in NAMESPACES:
        _document(service)


def written_before(service: Service, operation: str, parameters: dict[str, Any]) -> bool:
    """Whether `write_message` takes microseconds, and may run on the loop."""
    return _key(service, operation, parameters) in _envelopes


def write_message(
    service: Service,
    operation: str,
    parameters: dict[str, Any],
    credentials: Credentials | None,
    clock_offset: timedelta,
) -> SoapMessage:
    """The envelope of an operation, with a UsernameToken (digest) when there are credentials.

    Args:
        service: whose operation.
        operation: as `GetProfiles`.
        parameters: by element name.
        credentials: None sends no token.
        clock_offset: the camera's clock minus ours: the token carries the camera's time.
    """
    key = _key(service, operation, parameters)
    message = _envelopes.get(key)
    if message is None:
        # What differs between two messages is the token alone: the rest is zeep's work once.
        message = _write_with_zeep(service, operation, parameters)
        if len(_envelopes) >= _KEPT_ENVELOPES:
            _envelopes.clear()
        _envelopes[key] = message
    if credentials is None:
        return message
    before, body, after = message.body.partition(_BODY)
    header = f"<soap-env:Header>{security_header(credentials, clock_offset)}</soap-env:Header>".encode()
    return SoapMessage(b"".join((before, header, body, after)), message.headers)


def _write_with_zeep(service: Service, operation: str, parameters: dict[str, Any]) -> SoapMessage:
    document, binding = _document(service)
    # raw_response: what the transport returns is handed through, here the message itself.
    client = _client(document, raw_response=True)
    message = client.create_service(binding, "http://camera.invalid/")[operation](**parameters)
    if not isinstance(message, SoapMessage) or _BODY not in message.body:
        raise TypeError(f"zeep wrote {operation} in another way than this module knows")
    return message


def _key(service: Service, operation: str, parameters: dict[str, Any]) -> str:
    return f"{service} {operation} {parameters!r}"


def read_reply(service: Service, operation: str, status: int, content_type: str, body: bytes) -> Any:
    """What the operation returned, as zeep's objects.

    Raises:
        SoapRefusedError: a fault.
        SoapUnreadableError: no reply to this operation.
    """
    import zeep.exceptions
    from lxml.etree import LxmlError  # type: ignore[import-untyped]

    document, binding = _document(service)
    client = _client(document)
    reply = _HttpReply(status, {"Content-Type": content_type}, body)
    try:
        return document.bindings[binding].process_reply(client, document.bindings[binding].get(operation), reply)
    except zeep.exceptions.Fault as fault:
        named = [str(code) for code in (fault.code, *(fault.subcodes or ())) if code is not None]
        codes = [re.split("[:}]", code)[-1] for code in named]  # without prefix and namespace
        not_authorized = "NotAuthorized" in codes
        text = f"{operation} is answered: {str(fault.message)[:_SHOWN]} ({'/'.join(codes)[:_SHOWN]})"
        raise SoapRefusedError(text, not_authorized=not_authorized) from fault
    except (zeep.exceptions.Error, LxmlError, ValueError, TypeError, AttributeError, KeyError) as error:
        # zeep meets a reply of the wrong shape with any of these, depending on where it differs.
        detail = f"{operation}: answered {status} with {len(body)} bytes that are no SOAP reply"
        raise SoapUnreadableError(f"{detail} ({type(error).__name__})") from error


@dataclass(slots=True)
class _HttpReply:
    """As much of requests' Response as zeep reads."""

    status_code: int
    headers: dict[str, str]
    content: bytes
    encoding: str | None = field(default="utf-8")


class _Envelope:
    """A zeep transport that hands the message back in place of sending it."""

    def post_xml(self, _address: str, envelope: Any, headers: dict[str, str]) -> SoapMessage:
        from zeep.wsdl.utils import etree_to_string

        return SoapMessage(etree_to_string(envelope), headers)  # type: ignore[no-untyped-call]


class _WsdlFiles:
    """A zeep transport that reads the installed WSDL files and never the network."""

    def load(self, location: str) -> bytes:
        return _files().get(location) or Path(location).read_bytes()


@cache
def _files() -> dict[str, bytes]:
    folder = _wsdl_folder()
    names = [file_name for file_name, _ in _FILES.values()]
    for name in (*names, _SCHEMA):
        if not (folder / name).is_file():
            raise CaptureError(f"{folder / name} is missing: install onvif-zeep again (make install)")
    return lean_wsdl(folder, names, _OPERATIONS, _SCHEMA)


def _import_zeep() -> None:
    """Import zeep without httpx, where the process has not loaded that anyway.

    zeep takes httpx for a transport that is not used here, and httpx takes click, rich and
    pygments: 0.2 to 0.3 s of CPU, more than zeep and its WSDL together. `None` in
    `sys.modules` is Python's way of saying that a module is not there, which zeep bears.
    A triggerer has loaded httpx by itself, and nothing is held back in it.
    """
    if "zeep" in sys.modules or "httpx" in sys.modules:
        return
    sys.modules["httpx"] = None  # type: ignore[assignment]
    try:
        import zeep  # noqa: F401
    finally:
        if sys.modules.get("httpx", sys) is None:
            del sys.modules["httpx"]


@cache
def _document(service: Service) -> tuple[Any, str]:
    """The parsed WSDL, once for the process, and the name of its binding."""
    _import_zeep()
    from zeep.wsdl import Document

    file_name, binding = _FILES[service]
    parse: Any = Document
    document = parse(str(_wsdl_folder() / file_name), _WsdlFiles(), settings=_settings())
    return document, f"{{{NAMESPACES[service]}}}{binding}"


def _client(document: Any, **options: bool) -> Any:
    import zeep

    client: Any = zeep.Client
    return client(document, transport=_Envelope(), settings=_settings(**options))


def _wsdl_folder() -> Path:
    # Finding the package executes nothing of it. Its data lies beside it, as `wsdl/`.
    found = importlib.util.find_spec("onvif")
    if found is None or found.origin is None:
        raise CaptureError("onvif-zeep is not installed: install the observer extra (make install)")
    return Path(found.origin).parents[1] / "wsdl"


def _settings(**options: bool) -> Any:
    from zeep import Settings

    # Cameras leave out elements that the schema wants: not strict. What a camera sends is not trusted.
    return Settings(strict=False, forbid_dtd=True, forbid_entities=True, forbid_external=True, **options)


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="onvif-soap")
