"""What a simulated camera can be made to do wrong: the whole list, one sentence each."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from bay_observation.errors import SimulationError


class Fault(StrEnum):
    """One misbehaviour of a real camera; `FAULTS` says what each one is."""

    OFFLINE = "offline"
    HANG = "hang"
    DRIP = "drip"
    SLOW = "slow"
    REFUSE = "refuse"
    BUSY = "busy"
    NO_SNAPSHOT = "no_snapshot"
    RTSP_ONLY = "rtsp_only"
    HTML = "html"
    TRUNCATED = "truncated"
    CUT = "cut"
    TOO_LARGE = "too_large"
    WRONG_SIZE = "wrong_size"
    STALE = "stale"
    REDIRECT = "redirect"
    WRONG_HOST = "wrong_host"
    LOGIN_IN_ADDRESS = "login_in_address"
    BASIC = "basic"
    BASIC_FIRST = "basic_first"
    ONE_TIME_NONCE = "one_time_nonce"
    CLOCK_SKEW = "clock_skew"
    GUARDED_CLOCK = "guarded_clock"
    NO_CAPABILITIES = "no_capabilities"
    SOAP_DIGEST = "soap_digest"
    NO_XML = "no_xml"
    XML_BOMB = "xml_bomb"
    SLOW_HEADER = "slow_header"
    SLOW_FIRST = "slow_first"
    HUGE_LENGTH = "huge_length"
    ENDLESS = "endless"
    TINY = "tiny"
    GIANT = "giant"
    BUSY_401 = "busy_401"
    BUSY_ONCE = "busy_once"
    ONE_CONNECTION = "one_connection"
    LOCKOUT = "lockout"
    SILENT_NONCE = "silent_nonce"
    SEVERAL_CHALLENGES = "several_challenges"
    EXIF = "exif"
    OLD_EXIF = "old_exif"


FAULTS: Mapping[Fault, str] = {
    Fault.OFFLINE: "Nothing listens at the camera's address.",
    Fault.HANG: "Every request is taken and never answered.",
    Fault.DRIP: "The frame comes one byte at a time and never ends in time.",
    Fault.SLOW: "The frame comes after ten times the usual latency.",
    Fault.REFUSE: "Every login is refused: the password was changed at the camera.",
    Fault.BUSY: "The snapshot is answered 503: all of the camera's connections are in use.",
    Fault.NO_SNAPSHOT: "The Media service knows no GetSnapshotUri.",
    Fault.RTSP_ONLY: "GetSnapshotUri names an rtsp:// address.",
    Fault.HTML: "The snapshot is an HTML page with status 200 and an image's content type.",
    Fault.TRUNCATED: "The frame ends halfway, in an answer that is whole.",
    Fault.CUT: "The connection breaks halfway through the frame.",
    Fault.TOO_LARGE: "The snapshot goes on for tens of megabytes.",
    Fault.WRONG_SIZE: "The frame is 640 x 360, whichever profile was asked for.",
    Fault.STALE: "The frame stays that of the moment at which the fault began, byte for byte.",
    Fault.REDIRECT: "The snapshot is answered 302 to another host.",
    Fault.WRONG_HOST: "Service and snapshot addresses name the camera's address behind its NAT router.",
    Fault.LOGIN_IN_ADDRESS: "The snapshot address carries a login and a password.",
    Fault.BASIC: "The snapshot offers basic authentication only.",
    Fault.BASIC_FIRST: "The snapshot offers basic first, then digest, in two headers.",
    Fault.ONE_TIME_NONCE: "A digest nonce is good for one request.",
    Fault.CLOCK_SKEW: "The camera's clock is 37 minutes ahead, and it checks tokens against it.",
    Fault.GUARDED_CLOCK: "GetSystemDateAndTime wants a login, against the standard, and is refused with 401.",
    Fault.NO_CAPABILITIES: "GetCapabilities is refused; only GetServices names the Media service.",
    Fault.SOAP_DIGEST: "The ONVIF services, the clock among them, want an HTTP digest login and look at no token.",
    Fault.NO_XML: "The ONVIF services answer with an HTML page.",
    Fault.XML_BOMB: "The ONVIF services answer with entities that unfold to gigabytes.",
    Fault.SLOW_HEADER: "The head of the snapshot's answer comes one byte at a time and never ends in time.",
    Fault.SLOW_FIRST: "The first snapshot after a pause comes after ten times the usual latency.",
    Fault.HUGE_LENGTH: "The snapshot announces ten gigabytes, and sends a few bytes.",
    Fault.ENDLESS: "The snapshot is sent in chunks that never end.",
    Fault.TINY: "The frame is a JPEG of 1 x 1.",
    Fault.GIANT: "The frame's header says 20000 x 20000.",
    Fault.BUSY_401: "The snapshot is answered 401, with a page that says that there are too many connections.",
    Fault.BUSY_ONCE: "The first snapshot is answered 503, those after it are not.",
    Fault.ONE_CONNECTION: "A snapshot that is asked for while another one is under way is answered 503.",
    Fault.LOCKOUT: "After three failed logins every login is refused, the right one too.",
    Fault.SILENT_NONCE: "A digest nonce is good for one request; its second use counts as a failed login.",
    Fault.SEVERAL_CHALLENGES: "One header offers Negotiate, basic, digest with auth-int alone, and digest with auth.",
    Fault.EXIF: "Frames carry the time of the camera's clock, local, as EXIF DateTimeOriginal.",
    Fault.OLD_EXIF: "The frame's EXIF DateTimeOriginal is 47 minutes ago, though its bytes are new.",
}


def fault(name: str) -> Fault:
    """The fault of that name.

    Raises:
        SimulationError: there is none; the message lists those that there are.
    """
    try:
        return Fault(name)
    except ValueError:
        raise SimulationError(f"there is no fault {name!r}; the faults are: {', '.join(Fault)}") from None


def fault_set(value: "str | Fault | Iterable[str | Fault]") -> frozenset[Fault]:
    """One fault or several, by name or as they are.

    Raises:
        SimulationError: a name is no fault's.
    """
    names = [value] if isinstance(value, str) else value
    return frozenset(fault(name) for name in names)
