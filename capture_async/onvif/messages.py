"""ONVIF requests: the envelopes of the Device and Media services, with a new token for each message.

They are what zeep writes from ONVIF's WSDL, which a test holds them to. Written here, they
cost neither zeep's import nor parsing the WSDL, which is most of a cold capture's time, and
they include Media2, whose WSDL onvif-zeep does not bring.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from xml.sax.saxutils import escape

from capture_async.credentials import Credentials
from capture_async.onvif.ws_security import security_header

Service = Literal["device", "media", "media2"]
NAMESPACES: dict[Service, str] = {
    "device": "http://www.onvif.org/ver10/device/wsdl",
    "media": "http://www.onvif.org/ver10/media/wsdl",
    "media2": "http://www.onvif.org/ver20/media/wsdl",
}
_SCHEMA = "http://www.onvif.org/ver10/schema"
_ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
_STREAM_SETUP = (
    f'<s:StreamSetup><t:Stream xmlns:t="{_SCHEMA}">RTP-Unicast</t:Stream>'
    f'<t:Transport xmlns:t="{_SCHEMA}"><t:Protocol>RTSP</t:Protocol></t:Transport></s:StreamSetup>'
)
# What stands before the profile's token, and in its place where there is none.
_PARAMETERS: dict[tuple[Service, str], str] = {
    ("device", "GetSystemDateAndTime"): "",
    ("device", "GetCapabilities"): "<s:Category>All</s:Category>",
    ("device", "GetServices"): "<s:IncludeCapability>false</s:IncludeCapability>",
    ("media", "GetProfiles"): "",
    ("media", "GetSnapshotUri"): "",
    ("media", "GetStreamUri"): _STREAM_SETUP,
    ("media2", "GetProfiles"): "<s:Type>All</s:Type>",
    ("media2", "GetSnapshotUri"): "",
    ("media2", "GetStreamUri"): "<s:Protocol>RtspUnicast</s:Protocol>",
}


@dataclass(frozen=True, slots=True)
class SoapMessage:
    """A request ready to be posted."""

    body: bytes
    headers: dict[str, str]


def write_message(
    service: Service,
    operation: str,
    credentials: Credentials | None,
    clock_offset: timedelta,
    *,
    profile: str | None = None,
) -> SoapMessage:
    """The envelope of an operation, with a UsernameToken (digest) when there are credentials.

    Args:
        service: whose operation.
        operation: as `GetProfiles`.
        credentials: None sends no token.
        clock_offset: the camera's clock minus ours: the token carries the camera's time.
        profile: token of the profile that is asked about.
    """
    namespace = NAMESPACES[service]
    parameters = _PARAMETERS[service, operation]
    if profile is not None:
        parameters += f"<s:ProfileToken>{escape(profile)}</s:ProfileToken>"
    header = "" if credentials is None else f"<e:Header>{security_header(credentials, clock_offset)}</e:Header>"
    envelope = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<e:Envelope xmlns:e="{_ENVELOPE}">{header}<e:Body>'
        f'<s:{operation} xmlns:s="{namespace}">{parameters}</s:{operation}></e:Body></e:Envelope>'
    )
    action = f'"{namespace}/{operation}"'
    content_type = f"application/soap+xml; charset=utf-8; action={action}"
    # surrogateescape: a token that a camera named in another encoding goes back as the same bytes.
    return SoapMessage(
        envelope.encode("utf-8", "surrogateescape"), {"Content-Type": content_type, "SOAPAction": action}
    )
