"""The camera's half of ONVIF: reading a SOAP 1.2 request, checking its token, writing the reply.

Element names and namespaces are those of the ONVIF Device and Media services
(version 10) and of the OASIS UsernameToken profile 1.1.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
EVENTS = "http://www.onvif.org/ver10/events/wsdl"
_ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_DIGEST = "#PasswordDigest"
CAMERA_ZONE = timedelta(hours=9)
"""The cameras' local time minus UTC."""
_NAMESPACES = (
    f'xmlns:s="{_ENVELOPE}" xmlns:tds="{DEVICE}" xmlns:trt="{MEDIA}" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:ter="http://www.onvif.org/ver10/error"'
)


class SoapFaultError(Exception):
    """A request that is answered with a fault; `subcode` is ONVIF's, as `NotAuthorized`."""

    def __init__(self, subcode: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.subcode = subcode
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True)
class Token:
    """A UsernameToken as it was sent."""

    username: str
    password: str
    is_digest: bool
    nonce: bytes
    created: str


@dataclass(frozen=True, slots=True)
class Request:
    """One operation: its local name, its parameters' texts by local name, its token."""

    operation: str
    parameters: dict[str, str]
    token: Token | None


@dataclass(frozen=True, slots=True)
class Profile:
    """One media profile: `width` x `height` pixels."""

    token: str
    name: str
    width: int
    height: int


def read_request(body: bytes) -> Request:
    """Parse an envelope.

    Raises:
        SoapFaultError: the body is no SOAP 1.2 request.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314  the simulated yard's own clients, on loopback
    except ET.ParseError as error:
        raise SoapFaultError("WellFormed", f"the request is no XML: {error}") from error
    content = root.find(f"{{{_ENVELOPE}}}Body")
    if content is None or len(content) == 0:
        raise SoapFaultError("WellFormed", "the request has no SOAP 1.2 body")
    operation = content[0]
    parameters = {_local(element.tag): (element.text or "").strip() for element in operation.iter()}
    return Request(_local(operation.tag), parameters, _read_token(root))


def token_is_valid(
    token: Token | None, username: str, password: str, camera_time: datetime, tolerance: timedelta
) -> bool:
    """Whether the token proves the login and is as old as the camera's clock allows.

    The digest is Base64(SHA-1(nonce + created + password)), UsernameToken profile 1.1.
    """
    if token is None or token.username != username:
        return False
    if not token.is_digest:
        return hmac.compare_digest(token.password.encode(), password.encode())
    try:
        created = datetime.fromisoformat(token.created)
    except ValueError:
        return False
    if created.tzinfo is None or abs(created - camera_time) > tolerance:
        return False
    digest = hashlib.sha1(token.nonce + token.created.encode() + password.encode(), usedforsecurity=False).digest()
    return hmac.compare_digest(token.password.encode(), base64.b64encode(digest))


def fault_reply(fault: SoapFaultError) -> str:
    """The envelope of a fault."""
    return _envelope(
        f"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:{fault.subcode}</s:Value></s:Subcode>"
        f'</s:Code><s:Reason><s:Text xml:lang="en">{escape(fault.text)}</s:Text></s:Reason></s:Fault>'
    )


def xml_bomb() -> str:
    """A few hundred bytes whose entities unfold to 10^9 words."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY e0 "bomb">{entities}]><s>&e9;</s>'


def date_and_time_reply(moment: datetime) -> str:
    """GetSystemDateAndTimeResponse; `moment` in UTC, given as UTC and as Korean time."""
    local = moment + CAMERA_ZONE
    return _envelope(
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType>"
        "<tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>KST-9</tt:TZ></tt:TimeZone><tt:UTCDateTime>"
        f"{_date_and_time(moment)}</tt:UTCDateTime><tt:LocalDateTime>{_date_and_time(local)}</tt:LocalDateTime>"
        "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def device_information_reply(serial: str) -> str:
    """GetDeviceInformationResponse."""
    return _envelope(
        "<tds:GetDeviceInformationResponse><tds:Manufacturer>Simulated yard</tds:Manufacturer>"
        "<tds:Model>Bay camera</tds:Model><tds:FirmwareVersion>1.0</tds:FirmwareVersion>"
        f"<tds:SerialNumber>{escape(serial)}</tds:SerialNumber><tds:HardwareId>sim</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>"
    )


def capabilities_reply(base: str) -> str:
    """GetCapabilitiesResponse with Device, Events and Media under `base` (scheme, host and port)."""
    return _envelope(
        "<tds:GetCapabilitiesResponse><tds:Capabilities>"
        f"<tt:Device><tt:XAddr>{base}/onvif/device_service</tt:XAddr></tt:Device>"
        f"<tt:Events><tt:XAddr>{base}/onvif/event_service</tt:XAddr>"
        "<tt:WSSubscriptionPolicySupport>true</tt:WSSubscriptionPolicySupport>"
        "<tt:WSPullPointSupport>true</tt:WSPullPointSupport>"
        "<tt:WSPausableSubscriptionManagerInterfaceSupport>false</tt:WSPausableSubscriptionManagerInterfaceSupport>"
        "</tt:Events>"
        f"<tt:Media><tt:XAddr>{base}/onvif/media_service</tt:XAddr><tt:StreamingCapabilities>"
        "<tt:RTPMulticast>false</tt:RTPMulticast></tt:StreamingCapabilities></tt:Media>"
        "</tds:Capabilities></tds:GetCapabilitiesResponse>"
    )


def services_reply(base: str) -> str:
    """GetServicesResponse with Device and Media."""
    services = "".join(
        f"<tds:Service><tds:Namespace>{namespace}</tds:Namespace><tds:XAddr>{base}/onvif/{path}</tds:XAddr>"
        "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
        for namespace, path in ((DEVICE, "device_service"), (MEDIA, "media_service"))
    )
    return _envelope(f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>")


def profiles_reply(profiles: Sequence[Profile]) -> str:
    """GetProfilesResponse, in the order given."""
    return _envelope(
        f"<trt:GetProfilesResponse>{''.join(_profile(profile) for profile in profiles)}</trt:GetProfilesResponse>"
    )


def media_uri_reply(operation: str, address: str) -> str:
    """GetSnapshotUriResponse or GetStreamUriResponse."""
    return _envelope(
        f"<trt:{operation}Response><trt:MediaUri><tt:Uri>{escape(address)}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>true</tt:InvalidAfterReboot>"
        f"<tt:Timeout>PT0S</tt:Timeout></trt:MediaUri></trt:{operation}Response>"
    )


def _read_token(root: ET.Element) -> Token | None:
    element = root.find(f"{{{_ENVELOPE}}}Header/{{{_WSSE}}}Security/{{{_WSSE}}}UsernameToken")
    if element is None:
        return None
    password = element.find(f"{{{_WSSE}}}Password")
    if password is None:
        return None
    try:
        nonce = base64.b64decode(element.findtext(f"{{{_WSSE}}}Nonce", ""), validate=True)
    except binascii.Error:
        return None
    return Token(
        username=element.findtext(f"{{{_WSSE}}}Username", ""),
        password=password.text or "",
        is_digest=password.get("Type", "").endswith(_DIGEST),
        nonce=nonce,
        created=element.findtext(f"{{{_WSU}}}Created", ""),
    )


def _date_and_time(moment: datetime) -> str:
    return (
        f"<tt:Time><tt:Hour>{moment.hour}</tt:Hour><tt:Minute>{moment.minute}</tt:Minute>"
        f"<tt:Second>{moment.second}</tt:Second></tt:Time><tt:Date><tt:Year>{moment.year}</tt:Year>"
        f"<tt:Month>{moment.month}</tt:Month><tt:Day>{moment.day}</tt:Day></tt:Date>"
    )


def _profile(profile: Profile) -> str:
    return (
        f'<trt:Profiles token="{profile.token}" fixed="true"><tt:Name>{profile.name}</tt:Name>'
        '<tt:VideoSourceConfiguration token="VSC"><tt:Name>source</tt:Name><tt:UseCount>3</tt:UseCount>'
        '<tt:SourceToken>VS</tt:SourceToken><tt:Bounds x="0" y="0" '
        f'width="{profile.width}" height="{profile.height}"/></tt:VideoSourceConfiguration>'
        f'<tt:VideoEncoderConfiguration token="VEC_{profile.token}"><tt:Name>{profile.name}</tt:Name>'
        "<tt:UseCount>1</tt:UseCount><tt:Encoding>JPEG</tt:Encoding>"
        f"<tt:Resolution><tt:Width>{profile.width}</tt:Width><tt:Height>{profile.height}</tt:Height></tt:Resolution>"
        "<tt:Quality>5</tt:Quality><tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type>"
        "<tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address><tt:Port>0</tt:Port><tt:TTL>1</tt:TTL>"
        "<tt:AutoStart>false</tt:AutoStart></tt:Multicast><tt:SessionTimeout>PT60S</tt:SessionTimeout>"
        "</tt:VideoEncoderConfiguration></trt:Profiles>"
    )


def _envelope(body: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {_NAMESPACES}><s:Body>{body}</s:Body></s:Envelope>'


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
