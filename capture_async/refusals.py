"""What a camera's error text means: a refused login, a locked account, or too many connections.

Cameras say it with a status, a fault code or words alone, and firmwares differ in which.
A refusal that goes unrecognised is repeated with every try, until the account is locked.
"""

import re
from collections.abc import Iterable
from enum import Enum

_CODES = frozenset(
    {
        "accessdenied",
        "accountlocked",
        "authenticationfailed",
        "authenticationfailure",
        "failedauthentication",
        "failedcheck",
        "forbidden",
        "invalidcredentials",
        "invalidsecurity",
        "invalidsecuritytoken",
        "notauthenticated",
        "notauthorized",
        "permissiondenied",
        "securitytokenunavailable",
        "sendernotauthorized",
        "unauthenticated",
        "unauthorized",
    }
)
_SEARCHED = 4096
# These are matched against the text's words in lower case, one blank between two.
_NEAR = r" (?:\w+ ){0,3}?"
_LOGIN = r"(?:user ?name|user|password|passwd|credentials?|login|log ?in|account|security token|digest)"
_WRONG = r"(?:wrong|invalid|incorrect|bad|illegal|mismatch\w*|denied|rejected|refused|fail\w*|error|unknown|expired)"
_LOCKED = re.compile(
    rf"\b{_LOGIN}{_NEAR}(?:locked|blocked|disabled)\b|\block(?:ed)? ?out\b|\b(?:locked|blocked) (?:for|until)\b"
    rf"|\btoo many{_NEAR}(?:attempts?|fail\w*|tries)\b|\btoo many (?:wrong|invalid|incorrect|bad) "
)
_BUSY = re.compile(
    r"\btoo many\b|\bmax(?:imum)? (?:number of )?(?:connection|user|session|client|stream)"
    r"|\b(?:connection|user|session|client|stream)s? (?:limit|exceed|full|reached|number)"
    r"|\b(?:device|camera|system|server|service) (?:is )?busy\b"
)
_REFUSED = re.compile(
    rf"\b(?:not|un|isn t) ?authori[sz]ed\b|\bunauthori[sz]ed|\b(?:not|un) ?authenticated\b|\bunauthenticated\b"
    rf"|\bauthori[sz]ation (?:\w+ ){{0,2}}(?:fail\w*|required|denied)|\brequires authori[sz]ation\b"
    rf"|\bauth(?:enticat\w*)? (?:\w+ ){{0,2}}?{_WRONG}|\b{_WRONG} (?:to )?authenticat"
    rf"|\bcould not be authenticated\b|\bauthority failure\b"
    rf"|\b(?:access|permission) (?:is |was )?denied\b|\bno (?:permission|privilege|authority)"
    rf"|\binsufficient (?:\w+ )?(?:privilege|permission|right)"
    rf"|\b{_WRONG} (?:\w+ )?{_LOGIN}\b|\b{_LOGIN} (?:\w+ ){{0,3}}?{_WRONG}\b"
    rf"|\b{_LOGIN} (?:\w+ ){{0,3}}?not (?:correct|valid|match\w*|accepted|exist\w*|found)\b"
    rf"|\bplease (?:log ?in|sign ?in|authenticate)\b|\b(?:login|authentication) (?:is )?required\b"
)


class Refusal(Enum):
    """Which kind a text is; the value goes into a failure's detail."""

    LOCKED = "the account is locked after too many failed logins"
    BUSY = "its connections are in use"
    LOGIN = "login or password is wrong"


def refusal_in(text: str, codes: Iterable[str] = ()) -> Refusal | None:
    """What the text says, None where it says none of these.

    Args:
        text: of a fault or of a page.
        codes: of a fault, without prefix and namespace.
    """
    said = " ".join(re.findall(r"[a-z0-9]+", text[:_SEARCHED].lower())) + " "
    if _LOCKED.search(said) is not None:
        return Refusal.LOCKED
    if any(code.lower() in _CODES for code in codes) or _REFUSED.search(said) is not None:
        return Refusal.LOGIN
    return Refusal.BUSY if _BUSY.search(said) is not None else None
